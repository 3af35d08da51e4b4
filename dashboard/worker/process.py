"""The worker's process: what `python -m dashboard worker` runs, and how the server keeps one running."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dashboard.database.opening import open_database
from dashboard.settings import Settings
from dashboard.worker.config import load_config
from dashboard.worker.worker import Worker
from dashboard.worker.worker_lock import holder, locked

LOG = "worker.log"
LONGEST_PAUSE_S = 30.0
STOP_S = 12.0
"""Seconds that a worker may take to stop in order."""


def work(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT. Raises `Taken`, `ConfigProblem` and `DatabaseProblem` before it begins."""
    with locked(settings.data):
        config, database = load_config(settings.config).with_dump(settings.sql_dump), open_database(settings.database)
        try:
            asyncio.run(_until_stopped(Worker(settings, config, database)))
        finally:
            database.close()


async def _until_stopped(worker: Worker) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stopped.set)
    logging.getLogger(__name__).info("%s works", worker.name)
    await worker.run(stopped)


class Keeper:
    """Keeps one worker running beside a server. It outlives a server that is killed, and the next server finds it."""

    def __init__(self, settings: Settings, command: list[str]) -> None:
        self._settings = settings
        self._command = [sys.executable, "-m", "dashboard", *command]
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_s, self._next = 1.0, 0.0

    def check(self) -> None:
        """Starts a worker if there is none; after a failed start the next one waits longer."""
        if holder(self._settings.data) is not None:
            return
        if (self._process is not None and self._process.poll() is None) or time.monotonic() < self._next:
            return  # one is starting, or the last one ended at once
        self._next, self._pause_s = time.monotonic() + self._pause_s, min(LONGEST_PAUSE_S, 2 * self._pause_s)
        with (self._settings.data / LOG).open("ab") as log:
            # In a session of its own: Ctrl+C in the server's terminal must reach the server only.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"DASHBOARD_DATABASE": self._settings.database},
            )

    def stop(self) -> None:
        """Stops the worker in order, whoever started it."""
        pid = holder(self._settings.data)
        if not pid:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while holder(self._settings.data) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._process is not None:
            self._process.poll()


def last_words(data: Path) -> str:
    """The last line of the worker's log, for saying why there is no worker."""
    try:
        lines = (data / LOG).read_bytes()[-4_000:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
