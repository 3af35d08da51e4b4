"""Debian packages in a folder of their own: downloaded by name with what they need, and unpacked, without root.

No program of a package is run by that: no user, service or setting of the system changes. What an application expects
below `/usr` lies below the folder's `usr`, so its command and variables name those paths.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from environments.base import EnvironmentBroken

DEADLINE_S = 900.0
NEW = re.compile(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+)", re.MULTILINE)
"""A line of apt-get's simulation: a package and its version."""
LICENCE = re.compile(r"^License: *(\S.*)$", re.MULTILINE)


def unpack(packages: Sequence[str], root: Path, licences: Path, tell: Callable[[str], None]) -> None:
    """Unpacks packages, and those that they need and the machine lacks, and appends their licences to a file.

    Raises `EnvironmentBroken` without `apt-get` and `dpkg-deb`, or if a package can't be had.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise EnvironmentBroken(f"expected a Debian system, which has {', '.join(packages)}; found no apt-get")
    found = needed(packages)
    archives = root.with_name("archives")
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir(parents=True)
    root.mkdir(parents=True, exist_ok=True)
    try:
        tell(f"downloading {len(found)} Debian packages")
        _run(["apt-get", "download", "-qq", *(f"{name}={version}" for name, version in found)], archives)
        for archive in sorted(archives.glob("*.deb")):
            tell(f"unpacking {archive.name.partition('_')[0]}")
            _run(["dpkg-deb", "--extract", str(archive), str(root)], archives)
    finally:
        shutil.rmtree(archives, ignore_errors=True)
    with licences.open("a") as file:
        file.writelines(f"{name}; {version}; {licence(root, name)}\n" for name, version in found)


def needed(packages: Sequence[str]) -> list[tuple[str, str]]:
    """Name and version of packages and of what they need, without what the machine has. Raises `EnvironmentBroken`."""
    said = _run(["apt-get", "install", "--simulate", "--no-install-recommends", *packages], Path("/"))
    found = NEW.findall(said)
    missing = [name for name in packages if name not in {known for known, _ in found}]
    # One that the machine has is downloaded all the same: its files must lie in the folder.
    for name in missing:
        version = re.search(
            r"^Version: (\S+)$", _run(["apt-cache", "show", "--no-all-versions", name], Path("/")), re.M
        )
        if version is None:
            raise EnvironmentBroken(f"the Debian package {name} is unknown; run `apt-get update`")
        found.append((name, version[1]))
    return found


def licence(root: Path, package: str) -> str:
    """The licences that a package's copyright file names, or `not stated`."""
    try:
        text = (root / "usr" / "share" / "doc" / package / "copyright").read_text(errors="replace")
    except OSError:
        return "not stated"
    return ", ".join(sorted({name.strip()[:40] for name in LICENCE.findall(text)}))[:200] or "not stated"


def _run(command: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, errors="replace", timeout=DEADLINE_S, cwd=folder, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentBroken(f"{' '.join(command)[:100]}: {error}") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-300:]
        raise EnvironmentBroken(
            f"{' '.join(command)[:100]} failed: {said or done.returncode}; `apt-get update` refreshes the names"
        )
    return done.stdout
