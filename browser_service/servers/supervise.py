"""Supervised child processes: started, restarted when they end, stopped together, never left behind.

A child that ends is restarted after a pause that doubles each time, up to `LONGEST_PAUSE_S`; after a run of `STABLE_S`
the pause is the shortest again. The number of restarts is not limited.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
STABLE_S = 30.0
STOP_DEADLINE_S = 15.0
"""Seconds between SIGTERM and SIGKILL, unless the caller gives another number."""
KILL_DEADLINE_S = 5.0
PR_SET_PDEATHSIG = 1
SUPERVISOR = "BROWSER_SERVICE_SUPERVISOR"
"""Environment variable of a child: the process id of its supervisor."""


@dataclass(frozen=True)
class Program:
    """A program to run: `browser-service <arguments>` with extra environment.

    Example: `Program("instance 9000", ["instance"], {})`.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


@dataclass
class Child:
    """A program and its current process."""

    program: Program
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    pause_s: float = SHORTEST_PAUSE_S
    keeper: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Process id, while the process runs."""
        return self.process.pid if self.process and self.process.returncode is None else None


class Supervisor:
    """Runs programs. Use as `async with Supervisor(programs) as supervisor`: it stops them all on exit."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        on_exit: Callable[[Program], None] = lambda program: None,
        stop_deadline_s: float = STOP_DEADLINE_S,
    ) -> None:
        """`on_exit` is called each time that a child has ended by itself."""
        self.children = [Child(program) for program in programs]
        self._on_exit = on_exit
        self._stop_deadline_s = stop_deadline_s
        self._told_to_stop = asyncio.Event()

    async def __aenter__(self) -> "Supervisor":
        for child in self.children:
            child.keeper = asyncio.get_running_loop().create_task(self._keep(child))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Sends SIGTERM to all, then SIGKILL to those that don't end in time. May be called again."""
        self._told_to_stop.set()
        keepers = [child.keeper for child in self.children if child.keeper]
        for number, deadline_s in ((signal.SIGTERM, self._stop_deadline_s), (signal.SIGKILL, KILL_DEADLINE_S)):
            self.signal(number)
            if keepers:
                await asyncio.wait(keepers, timeout=deadline_s)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to every running child."""
        for child in self.children:
            if child.process and child.pid:
                with suppress(ProcessLookupError):
                    child.process.send_signal(number)

    def kill(self, name: str) -> None:
        """Kills a child that no longer answers; it is restarted like one that died."""
        for child in self.children:
            if child.program.name == name and child.process and child.pid:
                child.process.kill()

    async def _keep(self, child: Child) -> None:
        while not self._told_to_stop.is_set():
            began = time.monotonic()
            ended = await self._run(child)
            if self._told_to_stop.is_set():
                return
            self._on_exit(child.program)
            if time.monotonic() - began >= STABLE_S:
                child.pause_s = SHORTEST_PAUSE_S
            log.error("%s %s, starting it again in %g s", child.program.name, ended, child.pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(child.pause_s):
                    await self._told_to_stop.wait()
            child.pause_s = min(2 * child.pause_s, LONGEST_PAUSE_S)

    async def _run(self, child: Child) -> str:
        """Runs the program once and returns how it ended, as text for the log."""
        try:
            child.process = await _start(child.program)
        except OSError as error:  # the machine has no process or memory to spare at the moment
            return f"could not be started ({error})"
        child.starts += 1
        if self._told_to_stop.is_set():  # stop() was called while it started
            child.process.terminate()
        return f"ended with {await child.process.wait()}"


async def _start(program: Program) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "browser_service.cli",
        *program.arguments,
        env={**os.environ, **program.environment, SUPERVISOR: str(os.getpid())},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C in a terminal reaches the supervisor alone, which stops its children in order
    )


def end_with_supervisor() -> None:
    """In a child: asks the kernel for SIGINT when its supervisor dies, for any reason. Elsewhere: does nothing."""
    supervisor = os.environ.pop(SUPERVISOR, None)
    if supervisor is None:
        return
    with suppress(AttributeError):  # not Linux: such a child outlives a killed supervisor
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != int(supervisor):
        raise SystemExit("browser-service: the supervisor ended before this process had begun")
