"""The service's own folder: profiles, temporary files, and the mark that identifies orphans of a killed service."""

import logging
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from browser_service.settings import Settings

log = logging.getLogger(__name__)
KILL_DEADLINE_S = 5.0
# A UNIX socket's path has at most 107 characters. Chromium makes <TMPDIR>/org.chromium.Chromium.XXXXXX/SingletonSocket,
# and TMPDIR is <root>/<pid>-<start>-<random>/h<number of the browser>.
LONGEST_ROOT = 107 - 45 - 27


@contextmanager
def work_folder(settings: Settings) -> Generator[Path, None, None]:
    """A fresh folder named after this process, removed at the end. The leftovers of killed services are removed first.

    Raises OSError when the folder can't be written or its path is too long.
    """
    root = settings.state_dir.absolute()
    if len(str(root)) > LONGEST_ROOT:
        raise OSError(
            f"the path of the state folder {root} is too long for Chromium's sockets in it: set BROWSER_SERVICE_STATE_DIR "
            f"to one of at most {LONGEST_ROOT} characters"
        )
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    remove_orphans(root)
    me = psutil.Process()
    folder = root / f"{me.pid}-{_start(me)}-{os.urandom(2).hex()}"
    folder.mkdir(mode=0o711)
    try:
        yield folder
    finally:
        kill_users_of(folder)
        shutil.rmtree(folder, ignore_errors=True)


def remove_orphans(root: Path) -> None:
    """Kills the browsers and removes the folders of services that no longer run."""
    for folder in root.iterdir():
        if folder.is_dir() and not _owner_lives(folder.name):
            kill_users_of(folder)
            shutil.rmtree(folder, ignore_errors=True)
            log.warning("removed %s, left behind by a killed service", folder)


def kill_users_of(folder: Path) -> None:
    """Kills every process that was started with this folder as its temporary folder or profile."""
    users = [process for process in psutil.process_iter() if _uses(process, folder)]
    for process in users:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(users, timeout=KILL_DEADLINE_S)


def _owner_lives(name: str) -> bool:
    """True if the process still runs. Names are `<pid>-<process start>-<random>`, so a reused pid does not count."""
    pid, _, rest = name.partition("-")
    started = rest.partition("-")[0]
    if not pid.isdigit() or not started.isdigit():
        return True  # not a folder of this service: leave it
    try:
        return _start(psutil.Process(int(pid))) == int(started)
    except psutil.Error:
        return False


def _start(process: psutil.Process) -> int:
    """The last digits of the second in which the process started."""
    return int(process.create_time()) % 100_000


def _uses(process: psutil.Process, folder: Path) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        inside = f"{folder}/"
        temporary = process.environ().get("TMPDIR", "")
        return f"{temporary}/".startswith(inside) or any(inside in word for word in process.cmdline())
    except psutil.Error:
        return False
