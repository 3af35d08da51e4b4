"""`kill -9` of server, worker and Docker engine while rollouts get their containers: every rollout ends, and nothing is left."""

import asyncio
import json
import os
import random
import signal
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
import pytest
from dashboard_on_pairs import PLAYED_S, Reader, browsers, client_at, started, stopped, write_config
from docker_engine import Engine, left, needs_engine
from docker_images import make_images
from reports_dump import BASIC, PRO

from dashboard.worker.worker_lock import holder
from environments.web import serving

pytestmark = [needs_engine, pytest.mark.chaos, pytest.mark.browser]
Victim = Literal["server", "worker", "engine"]
AGAIN_S = 90.0
"""Seconds until a killed part is back."""
ENDED = ("completed", "failed", "cancelled")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[Engine]:
    """An engine that can be killed, with the images of a Postgres and of an application."""
    folder = tmp_path_factory.mktemp("docker")
    engine = Engine(folder)
    try:
        engine.start()
        make_images(engine.address, folder)
        yield engine
    finally:
        engine.stop()


class Stack:
    """A dashboard with its worker and its engine, each of which can be killed; the server and the engine are started again here,
    the worker by the server."""

    def __init__(self, home: Path, engine: Engine, pool: str) -> None:
        self._home, self._engine, self._pool = home, engine, pool
        self._server: Process | None = None
        self.client = httpx.AsyncClient()

    async def start(self) -> None:
        """Starts the server."""
        self._server, address = await started(self._home, self._engine.address, self._pool)
        await self.client.aclose()
        self.client = client_at(address)

    async def kill(self, victim: Victim) -> None:
        """Kills a part, and returns when it works again."""
        if victim == "engine":
            await asyncio.to_thread(self._engine.kill)
            await asyncio.to_thread(self._engine.start)
        elif victim == "server":
            assert self._server is not None
            self._server.kill()
            await self._server.communicate()
            await self.start()
        elif (worker := self._worker()) is not None:
            os.kill(worker, signal.SIGKILL)
            await self.working(not_process=worker)

    async def working(self, not_process: int | None = None) -> None:
        """Returns when there is a worker, another one than the killed."""
        async with asyncio.timeout(AGAIN_S):
            while self._worker() in (None, 0, not_process):  # noqa: ASYNC110 - another process's lock
                await asyncio.sleep(0.1)

    def _worker(self) -> int | None:
        return holder(self._home / "runs" / ".dashboard")

    async def stop(self) -> None:
        """Ends the server, and the worker with it."""
        if self._server is not None:
            await stopped(self._server)
        if worker := self._worker():  # one that a killed server had started
            os.kill(worker, signal.SIGTERM)
            async with asyncio.timeout(AGAIN_S):
                while self._worker() is not None:  # noqa: ASYNC110 - another process's lock
                    await asyncio.sleep(0.1)
        await self.client.aclose()


@asynccontextmanager
async def stack(home: Path, engine: Engine) -> AsyncGenerator[Stack]:
    """The whole, with two tasks."""
    async with browsers() as pool, serving(Reader().app()) as model:
        write_config(home, model)
        whole = Stack(home, engine, pool)
        try:
            await whole.start()
            await whole.working()
            (await whole.client.post("/api/tasks/upload", files={"file": ("t.json", tasks())})).raise_for_status()
            yield whole
        finally:
            await whole.stop()


def tasks() -> bytes:
    """The seed's file."""
    return json.dumps([BASIC, PRO]).encode()


async def ended(client: httpx.AsyncClient, ids: list[str]) -> list[Any]:
    """The rollouts, once all of them have ended."""
    deadline = time.monotonic() + 2 * PLAYED_S
    while True:
        rows = [(await client.get(f"/api/rollouts/{one}")).raise_for_status().json() for one in ids]
        waiting = [row for row in rows if row["status"] not in ENDED]
        if not waiting:
            return rows
        assert time.monotonic() < deadline, waiting
        await asyncio.sleep(0.5)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("points", [3, 35])
async def test_a_kill_at_any_moment_of_provisioning_loses_no_rollout(
    engine: Engine, tmp_path: Path, points: int
) -> None:
    rng = random.Random(points)
    asked: list[str] = []
    async with stack(tmp_path, engine) as whole:
        for point in range(points):
            victim: Victim = ("server", "worker", "engine")[point % 3]
            reply = await whole.client.post("/api/rollouts", json={"task_ids": ["basic", "pro"]})
            asked += [row["id"] for row in reply.raise_for_status().json()]
            await asyncio.sleep(rng.uniform(0, 4))
            await whole.kill(victim)
        rows = await ended(whole.client, asked)
        # A rollout that lost three workers, or whose container died with the engine, failed for that reason and has no verdict.
        for row in rows:
            assert (row["status"], row["success"]) in (("completed", True), ("failed", None)), row
            assert row["status"] == "completed" or row["failure_side"] == "infra", row
        assert any(row["status"] == "completed" for row in rows)
    deadline = time.monotonic() + AGAIN_S
    while left(engine.address) and time.monotonic() < deadline:  # noqa: ASYNC110 - the engine is another process
        await asyncio.sleep(0.5)
    assert left(engine.address) == []
    assert [
        one.pid for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])
    ] == []
