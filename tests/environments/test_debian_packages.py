"""Unpacking Debian packages, with programs in place of apt-get, apt-cache and dpkg-deb that print what those print."""

from pathlib import Path

import pytest

from environments.applications.hosted.debian import licence, needed, turn_links, unpack
from environments.base import EnvironmentBroken

SIMULATED = """NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  wiki wiki-data
Inst wiki-data (1:1.39.17-1+deb12u2 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [all])
Inst libpq5 [15.19-0+deb12u1] (15.20-0+deb12u1 Debian-Security:12/oldstable-security [amd64]) []
Inst wiki (2:8.2+93 Debian:12.15/oldstable [amd64])
Remv old-wiki [1.0]
Conf wiki-data (1:1.39.17-1+deb12u2 Debian:12.15/oldstable [all])
Conf wiki (2:8.2+93 Debian:12.15/oldstable [amd64])
"""
COPYRIGHT = "Format: x\nFiles: *\nLicense: GPL-2+\n On Debian systems ...\nLicense: Expat\nLicense: GPL-2+\n"
APT_GET = """
case "$1 $*" in
  install*" gone"*) echo "E: Unable to locate package gone" >&2; exit 100 ;;
  install*) cat "$FOLDER/simulated" ;;
  download*) shift 2; for each; do echo "$each" >> "$FOLDER/downloaded"; : > "${each%%=*}_1_all.deb"; done ;;
esac
"""
APT_CACHE = """
case "$*" in
  *" here") printf 'Package: here\\nVersion: 3.1-2\\nDepends: libc6\\n' ;;
  *) printf 'Package: odd\\n' ;;
esac
"""
DPKG_DEB = """
name=$(basename "$2" _1_all.deb)
mkdir -p "$3/usr/share/doc/$name" "$3/var/lib/$name"
cp "$FOLDER/copyright" "$3/usr/share/doc/$name/copyright"
[ -L "$3/usr/share/$name" ] || ln -s "/var/lib/$name" "$3/usr/share/$name"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the programs, which is the first of PATH; they keep what they were asked for."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"apt-get": APT_GET, "apt-cache": APT_CACHE, "dpkg-deb": DPKG_DEB}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}")
        (programs / name).chmod(0o755)
    (tmp_path / "simulated").write_text(SIMULATED)
    (tmp_path / "copyright").write_text(COPYRIGHT)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    return tmp_path


def test_the_simulation_names_new_packages_and_upgrades_with_their_versions(machine: Path) -> None:
    new = [("wiki-data", "1:1.39.17-1+deb12u2"), ("libpq5", "15.20-0+deb12u1"), ("wiki", "2:8.2+93")]
    assert needed(["wiki"]) == new
    assert needed(["wiki", "here"]) == [*new, ("here", "3.1-2")], "one that the machine has is downloaded, too"


def test_packages_are_unpacked_with_their_licences_and_links_that_stay_in_the_folder(machine: Path) -> None:
    root, licences, said = machine / "place" / "root", machine / "licences.txt", list[str]()
    unpack(["wiki"], root, licences, said.append)
    assert (
        machine / "downloaded"
    ).read_text() == "wiki-data=1:1.39.17-1+deb12u2\nlibpq5=15.20-0+deb12u1\nwiki=2:8.2+93\n"
    assert licences.read_text().splitlines()[0] == "wiki-data; 1:1.39.17-1+deb12u2; Expat, GPL-2+"
    assert said[0] == "downloading 3 Debian packages" and "unpacking wiki" in said
    link = root / "usr" / "share" / "wiki"
    assert link.resolve() == (root / "var" / "lib" / "wiki").resolve() and not link.readlink().is_absolute()
    assert not (machine / "place" / "archives").exists()


def test_links_that_lead_elsewhere_are_left(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "relative").symlink_to("other")
    (tmp_path / "usr" / "system").symlink_to("/etc/no-such-file")
    turn_links(tmp_path)
    assert str((tmp_path / "usr" / "relative").readlink()) == "other"
    assert str((tmp_path / "usr" / "system").readlink()) == "/etc/no-such-file"


def test_a_package_that_is_unknown_is_one_sentence(machine: Path) -> None:
    with pytest.raises(
        EnvironmentBroken, match=r"Unable to locate package gone; `apt-get update` refreshes the names$"
    ):
        needed(["gone"])
    with pytest.raises(EnvironmentBroken, match="the Debian package odd is unknown; run `apt-get update`"):
        needed(["odd"])


def test_another_system_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentBroken, match="expected a Debian system, which has wiki, here; found no apt-get"):
        unpack(["wiki", "here"], tmp_path / "root", tmp_path / "licences.txt", print)


def test_a_failed_download_leaves_no_archives(machine: Path) -> None:
    (machine / "programs" / "dpkg-deb").write_text("#!/bin/sh\necho 'not a Debian format archive' >&2\nexit 2\n")
    with pytest.raises(EnvironmentBroken, match="not a Debian format archive"):
        unpack(["wiki"], machine / "place" / "root", machine / "licences.txt", print)
    assert not (machine / "place" / "archives").exists() and not (machine / "licences.txt").exists()


def test_a_package_without_a_copyright_file_has_no_stated_licence(tmp_path: Path) -> None:
    assert licence(tmp_path, "wiki:amd64") == "not stated"
    (tmp_path / "usr" / "share" / "doc" / "wiki").mkdir(parents=True)
    (tmp_path / "usr" / "share" / "doc" / "wiki" / "copyright").write_text(COPYRIGHT)
    assert licence(tmp_path, "wiki:amd64") == "Expat, GPL-2+"
