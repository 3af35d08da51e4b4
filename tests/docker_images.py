"""Images of the tests, made from files of this machine: a Postgres that behaves as the official image, and an application.

The application reads the variables of Metabase and answers at its addresses: the configuration names another image, and
nothing else differs.
"""

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from docker_engine import BUSYBOX, running_engine

from environments.providers.docker.engine import connect
from environments.providers.postgres.programs import program

POSTGRES_IMAGE, APPLICATION_IMAGE = "rl-loop-test:postgres", "rl-loop-test:application"
PROGRAMS = ("postgres", "initdb", "pg_ctl", "psql", "createdb", "pg_isready", "pg_restore")
BOX = ("sh", "mkdir", "chown", "chmod", "find", "rm", "id", "cat", "env")
ENTRYPOINT = """#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  find "$PGDATA" ! -user postgres -exec chown postgres {} +
  exec /usr/bin/setpriv --reuid=999 --regid=999 --clear-groups /entrypoint.sh "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  echo "$POSTGRES_PASSWORD" >/tmp/password
  initdb -U "$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  pg_ctl -w -o "-c listen_addresses=''" start
  createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl -w -m fast stop
fi
exec "$@"
"""


@contextmanager
def engine_with_images(folder: Path) -> Generator[str]:
    """The address of an engine that has both images."""
    with running_engine(folder) as address:
        make_images(address, folder)
        yield address


def make_images(address: str, folder: Path) -> None:
    """Makes both images with the engine at an address; their root file systems are packed in a folder."""
    client = connect(address)
    try:
        for name, pack, changes in (
            (POSTGRES_IMAGE, _pack_postgres, _postgres_changes()),
            (APPLICATION_IMAGE, _pack_application, _application_changes()),
        ):
            archive = folder / f"{name.rpartition(':')[2]}.tar"
            with tarfile.open(archive, "w") as tar:
                pack(tar)
            repository, _, tag = name.rpartition(":")
            client.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)
            archive.unlink()
    finally:
        client.close()


def _postgres_changes() -> list[str]:
    path = f"{Path(program('postgres')).resolve().parent}:/usr/bin:/bin"
    return [
        f"ENV PATH={path}",
        'ENTRYPOINT ["/entrypoint.sh"]',
        'CMD ["postgres"]',
        "VOLUME /var/lib/postgresql/data",
    ]


def _pack_postgres(tar: tarfile.TarFile) -> None:
    beside = Path(program("postgres")).resolve().parent
    programs = [beside / name for name in PROGRAMS]
    libraries = [path for path in (beside.parent / "lib").glob("*.so") if not path.name.startswith("llvm")]
    setpriv = Path("/usr/bin/setpriv")
    _add(tar, [*programs, *libraries, setpriv, *_needed([*programs, *libraries, setpriv])])
    share = Path("/usr/share/postgresql") / beside.parent.name
    _add(tar, [path for path in share.rglob("*") if path.is_file() and "man" not in path.parts])
    _box(tar)
    _text(tar, "entrypoint.sh", ENTRYPOINT, mode=0o755)
    _text(tar, "etc/passwd", "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n")
    _text(tar, "etc/group", "root:x:0:\npostgres:x:999:\n")
    _folder(tar, "tmp", mode=0o1777)
    _folder(tar, "var/run/postgresql", mode=0o777)


def _application_changes() -> list[str]:
    return [f'CMD ["{_python()}", "-I", "/application/reports_app.py"]']


def _pack_application(tar: tarfile.TarFile) -> None:
    stdlib = Path(sysconfig.get_path("stdlib"))
    left_out = {"test", "idlelib", "ensurepip", "lib2to3", "site-packages", "dist-packages"}
    modules = [path for path in stdlib.rglob("*") if path.is_file() and not left_out & set(path.parts)]
    spec = find_spec("asyncpg")
    assert spec is not None and spec.origin is not None
    driver = Path(spec.origin).parent
    compiled = [path for path in (*modules, *driver.rglob("*")) if path.suffix == ".so"]
    _add(tar, [_python(), *modules, *_needed([_python(), *compiled])])
    for path in driver.rglob("*"):
        if path.is_file():
            tar.add(path, f"application/asyncpg/{path.relative_to(driver)}")
    tar.add(Path(__file__).with_name("reports_app.py"), "application/reports_app.py")
    _folder(tar, "tmp", mode=0o1777)


def _python() -> Path:
    """The interpreter itself, not the link of a virtual environment."""
    return Path(sys.executable).resolve()


def _needed(files: Iterable[Path]) -> set[Path]:
    """The shared libraries that programs and libraries need, with the loader."""
    found: set[Path] = set()
    names = [str(path) for path in files]
    for start in range(0, len(names), 50):
        said = subprocess.run(["ldd", *names[start : start + 50]], capture_output=True, text=True, check=False).stdout
        found |= {Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE)}
    return found


def _add(tar: tarfile.TarFile, files: Iterable[Path]) -> None:
    """Adds files at their own paths, links by their content."""
    for path in dict.fromkeys(files):
        tar.add(os.path.realpath(path), str(path).lstrip("/"))


def _box(tar: tarfile.TarFile) -> None:
    tar.add(str(BUSYBOX), "bin/busybox")
    for name in BOX:
        link = tarfile.TarInfo(f"bin/{name}")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)


def _text(tar: tarfile.TarFile, name: str, text: str, *, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(text.encode()), mode
    tar.addfile(info, io.BytesIO(text.encode()))


def _folder(tar: tarfile.TarFile, name: str, *, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)
