"""The programs of Postgres on this machine, run as a user that Postgres accepts: it refuses root."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from environments.base import EnvironmentBroken

FOLDERS = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr/pgsql")
INIT_DEADLINE_S = 120.0
PORT = 5432
"""Part of a server's socket's name; no port of the machine is taken."""
SETTINGS = {
    "listen_addresses": "",
    # Nobody is asked for a password: the socket is for this user alone (and root).
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # In files of the data folder, which a sweep removes: a killed server would leave segments of the machine.
    "dynamic_shared_memory_type": "mmap",
    # Both count as memory where the data is in memory; a query of an agent could fill it.
    "max_wal_size": "128MB",
    "temp_file_limit": "256MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "jit": "off",
}


def program(name: str) -> str:
    """Path of a program such as `initdb`. Raises `EnvironmentBroken` without Postgres."""
    if (found := shutil.which(name)) is not None:
        return found
    beside = [path for folder in FOLDERS for path in Path(folder).glob(f"*/bin/{name}")]
    if not beside:
        raise EnvironmentBroken(
            f"expected the program {name} of PostgreSQL, found none; install PostgreSQL 13 or newer"
        )
    return str(max(beside, key=lambda path: [int(part) for part in re.findall(r"\d+", str(path))]))


def server_command(data: Path, *, socket_folder: Path) -> list[str]:
    """Command of a server that listens on a UNIX socket alone. Raises `EnvironmentBroken` without Postgres."""
    options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return [program("postgres"), "-D", str(data), "-k", str(socket_folder), "-p", str(PORT), *options]


def identity() -> dict[str, Any]:
    """Arguments of `subprocess` that choose the user: for root the user postgres or nobody, otherwise nothing."""
    if os.geteuid() != 0:
        return {}
    account = _account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def hand_over(*folders: Path) -> None:
    """Makes folders, with all in them, those of the user that Postgres runs as."""
    if os.geteuid() != 0:
        return
    account = _account()
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def make_cluster(data: Path) -> None:
    """Makes an empty cluster in a folder that does not exist yet. Takes 1 to 3 s. Raises `EnvironmentBroken`."""
    data.mkdir(parents=True, mode=0o700)
    hand_over(data)
    run(
        [program("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        what="a Postgres cluster can't be made",
    )


def run(command: Sequence[str], *, what: str, deadline_s: float = INIT_DEADLINE_S) -> None:
    """Runs a program of Postgres to its end. Raises `EnvironmentBroken` with its last words."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline_s,
            cwd="/",
            stdin=subprocess.DEVNULL,
            check=False,
            **identity(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentBroken(f"{what}: {error}") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise EnvironmentBroken(f"{what}: {said or f'exit status {done.returncode}'}")


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EnvironmentBroken("Postgres refuses to run as root, and there is no user postgres or nobody; add one")
