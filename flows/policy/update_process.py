"""The process of a policy update: a new one for each update, or one that a loop keeps between its updates (`update.keep_warm`)."""

import asyncio
import contextlib
import json
import logging
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

from flows.services.processes import tethered
from flows.settings.run_folder import RunFolder
from telemetry.log_format import message_of
from telemetry.propagation import id_environment

logger = logging.getLogger(__name__)

_OF_TORCHRUN = re.compile(r"[EWI]\d{4} \d\d:\d\d:\d\d")
STOP_S = 3.0
"""Seconds between SIGTERM and SIGKILL for an update that exceeds its deadline or is cancelled: its checkpoint is written
by rename, so nothing is lost by ending it at once."""


class WarmUpdates:
    """A process that has imported what updates need, and forks for each of them (`training.learning.warm`)."""

    def __init__(self, policy: Path, log: Path, *, lora: bool = False) -> None:
        self._policy, self._log, self._lora = policy, log, lora
        self._process: Process | None = None

    async def start(self) -> None:
        """Starts the process, unless it runs. It imports while the first rollout is played."""
        if self._process is not None and self._process.returncode is None:
            return
        command = [sys.executable, "-m", "training.learning.warm", "--policy", str(self._policy)]
        command += ["--lora"] * self._lora
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *tethered(command), stdin=PIPE, stdout=PIPE, stderr=output
            )

    async def run(self, arguments: list[str], log: Path) -> int | None:
        """Runs one update. Returns its status; None if the process died, which a new one may be asked to repeat."""
        await self.start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        answer = b""
        try:
            request = {"arguments": arguments, "log": str(log), "environment": id_environment()}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            answer = await process.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            pass
        except BaseException:  # a cancelled call must not leave its update behind
            await self.stop()
            raise
        if not answer.endswith(b"\n"):  # it has died or is about to
            self._process = None
            await _end(process, after_s=STOP_S)
        return int(json.loads(answer)["status"]) if answer.endswith(b"\n") else None

    async def stop(self) -> None:
        """Ends the process, and with it a running update."""
        process, self._process = self._process, None
        if process is not None:
            await _end(process)


_warm: ContextVar[WarmUpdates | None] = ContextVar("warm_updates", default=None)
"""The kept process of the loop that this code runs in: stages are called through Prefect, which can't pass it on."""


@asynccontextmanager
async def updates_kept_warm(folder: RunFolder) -> AsyncGenerator[None]:
    """Keeps an update process for the updates inside the block, if the run's configuration says so and they are made here."""
    if not folder.config.update.keep_warm or folder.config.services.update_pool:
        yield
        return
    config = folder.config
    updates = WarmUpdates(config.policy.model, folder.warm_log, lora=config.update.lora is not None)
    token = _warm.set(updates)
    try:
        await updates.start()
        yield
    finally:
        _warm.reset(token)
        await updates.stop()


async def run_update_process(command: list[str], log: Path, *, deadline_s: float) -> int | None:
    """Runs the command of an update, its output in `log`, in the loop's kept process if there is one.

    Returns its status, None after the deadline. The process dies with this one. `command` is `[python, -m, module,
    arguments..]`. A kept process that dies is started again; if that does not help, the update gets a process of its own.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        async with asyncio.timeout(deadline_s):
            if (warm := _warm.get()) is not None:
                for _ in range(2):
                    if (status := await warm.run(command[3:], log)) is not None:
                        return status
                    logger.warning("the update process that is kept warm died; the update is begun again")
            return await _run_alone(command, log)
    except TimeoutError:
        return None


async def _run_alone(command: list[str], log: Path) -> int:
    with log.open("ab") as output:  # opening a local file does not block the event loop
        process = await asyncio.create_subprocess_exec(
            *tethered(command), stdin=DEVNULL, stdout=output, stderr=STDOUT, env={**os.environ, **id_environment()}
        )
    try:
        return await process.wait()
    finally:
        await _end(process)


async def _end(process: Process, *, after_s: float = 0.0) -> None:
    """Waits `after_s` seconds for the end of a process, then asks for it, then forces it."""
    if after_s:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                await process.wait()
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def last_line(log: Path) -> str:
    """The last line of the update; behind it torchrun writes a page of its own about a process that failed."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        lines = []
    pages = [number for number, line in enumerate(lines) if "torch/distributed/elastic" in line and "failed" in line]
    own = [line for line in lines[: pages[-1] if pages else None] if not _OF_TORCHRUN.match(line)]
    return message_of(own[-1])[:400] if own else "it wrote nothing"
