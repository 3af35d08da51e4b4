"""One server process: its command, port, health, log and end. It is started and killed as a process group."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from environments.base import EnvironmentBroken
from environments.providers.owners import MARK, Owner

POLL_S = 0.02
STOP_S = 2.0
"""Seconds between the request to end and the kill."""
TRIES = 3
"""Attempts to start: another process may take the chosen port before the server does."""
LOG_TAIL = 300
FOLDER = "rl-loop-environment-"
"""Prefix of the servers' folders; the owner's id follows."""


@dataclass(frozen=True)
class ServerCommand:
    """How to start a server. Example: `ServerCommand(["python", "serve.py", "--port", "{port}"], health="/healthz")`.

    `{port}` and `{folder}` in the command and in the variables are the chosen port and the server's own folder.
    """

    command: Sequence[str]
    health: str = "/"
    """Path that answers with a status below 500 once the server is ready."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, beside PATH, HOME, LANG and the like of this process."""
    cwd: Path | None = None
    start_deadline_s: float = 60.0


class Server:
    """A running server. Its folder has `server.log`, and whatever the server writes; it is removed with it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.url = f"http://127.0.0.1:{port}"
        self._process = process

    @property
    def is_alive(self) -> bool:
        """True while the process runs."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """File with all that the server printed."""
        return self.folder / "server.log"

    async def stop(self) -> None:
        """Ends the process group, by force after `STOP_S` seconds, and removes the folder."""
        _signal(self.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        # Children that ignore the first signal, or that outlive their parent, are still in the group.
        _signal(self.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


async def start_server(wanted: ServerCommand, owner: Owner) -> Server:
    """Starts a server and waits until it is healthy.

    Raises `EnvironmentBroken` when the command can't be run, ends, or is not healthy within its deadline.
    """
    for attempt in range(1, TRIES + 1):
        server = await _spawn(wanted, owner)
        try:
            await _wait_until_healthy(server, wanted)
        except EnvironmentBroken:
            taken = not server.is_alive and await asyncio.to_thread(_is_taken, server.port)
            await server.stop()
            if not taken or attempt == TRIES:
                raise
        except BaseException:
            await asyncio.shield(server.stop())
            raise
        else:
            return server
    raise AssertionError("the last attempt returns or raises")


async def _spawn(wanted: ServerCommand, owner: Owner) -> Server:
    port = _free_port()
    folder = Path(await asyncio.to_thread(lambda: tempfile.mkdtemp(prefix=f"{FOLDER}{owner}-")))
    given = {"port": port, "folder": folder}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR") if name in os.environ}
    variables = kept | {name: value.format(**given) for name, value in wanted.variables.items()} | {MARK: str(owner)}
    with (folder / "server.log").open("wb") as log:
        try:
            process = await asyncio.create_subprocess_exec(
                *(part.format(**given) for part in wanted.command),
                cwd=wanted.cwd or folder,
                env=variables,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise EnvironmentBroken(f"the server {wanted.command[0]!r} can't be started: {error.strerror}") from None
    return Server(process, port, folder)


async def _wait_until_healthy(server: Server, wanted: ServerCommand) -> None:
    """Raises `EnvironmentBroken` with the end of the log."""
    until = time.monotonic() + wanted.start_deadline_s
    async with httpx.AsyncClient(base_url=server.url, timeout=2.0, trust_env=False) as client:
        while time.monotonic() < until:
            if not server.is_alive:
                raise EnvironmentBroken(f"the server {wanted.command[0]!r} ended while it started: {tail(server.log)}")
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(wanted.health)).status_code < 500:
                    return
            await asyncio.sleep(POLL_S)
    deadline = f"{wanted.start_deadline_s:g} s"
    raise EnvironmentBroken(f"the server {wanted.command[0]!r} was not healthy within {deadline}: {tail(server.log)}")


def tail(log: Path) -> str:
    """The last characters of a log in one line."""
    try:
        return " ".join(log.read_text(errors="replace")[-LOG_TAIL:].split()) or "its log is empty"
    except OSError:
        return "it has no log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
