"""The worker's loop: claims rollouts from the queue, plays them at the same time, renews its leases, obeys cancellations."""

import asyncio
import hashlib
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.episodes.watch import Watch
from browser_service.errors import BrowserServiceError
from dashboard.database.opening import Database
from dashboard.database.queue import Claimed, LeaseWatch, Renewed, claim, give_back, renew, rollouts_of
from dashboard.database.states import Status, move
from dashboard.settings import Settings
from dashboard.worker import results
from dashboard.worker.config import PlayConfig
from dashboard.worker.live_pool import LivePool
from dashboard.worker.playing import CannotPlay, Player
from storage.store import CorruptTrajectory

log = logging.getLogger(__name__)

TICK_S = 0.5
"""Interval of the loop: the longest time until a cancellation is seen, and until a free slot is used."""
RELEASE_S = 7.0
"""Seconds that a cancelled rollout may take to release its browser; then the browser is ended from outside."""
PROVISIONING = frozenset({"serve", "allocate", "navigate"})
"""Phases of an episode before its first turn."""


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Running:
    """A rollout that is played or judged."""

    work: "asyncio.Task[None] | None" = None
    status: Status = "provisioning"
    news: dict[str, Any] = field(default_factory=dict)
    """Progress that is not in the database yet."""
    may_go_on: asyncio.Event = field(default_factory=_set_event)
    """Not set while a person holds it."""
    stopped_at: float | None = None
    """On the event loop's clock; None while it may go on."""
    cancelled_by: str = ""
    """Name of the user who cancelled it; empty when it was stopped for another reason."""


def worker_name(data: Path) -> str:
    """Name of the worker of a data directory on this machine, the same after a restart: it knows its own lost rollouts."""
    return f"{socket.gethostname()}-{hashlib.sha256(str(data.absolute()).encode()).hexdigest()[:8]}"


class Worker:
    """Plays rollouts until it is stopped. `lock.py` sees to it that a data directory has one."""

    def __init__(self, settings: Settings, config: PlayConfig, database: Database) -> None:
        self.name = worker_name(settings.data)
        self._most = settings.max_workers
        self._database = database
        self._watch = LeaseWatch()
        self._running: dict[str, Running] = {}
        self._pool = LivePool(settings.browsers)
        self._player = Player(settings, config, self._pool)

    async def run(self, stopped: asyncio.Event) -> None:
        """Works until `stopped`; then gives what it plays back to the queue."""
        await self._give_back("its worker was lost")
        async with self._pool, self._player:
            while not stopped.is_set():
                try:
                    await self._tick()
                except Exception:  # the database may be back at the next tick, and leases expire if it is not
                    log.exception("a tick of the worker failed")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), TICK_S)
            await self._end()

    async def _tick(self) -> None:
        renewed, claimed = await asyncio.to_thread(self._exchange)
        for rollout_id in renewed.lost:
            self._stop(rollout_id, "")
        for rollout_id, who in renewed.cancelled.items():
            self._stop(rollout_id, who)
        for rollout_id, running in self._running.items():
            if rollout_id in renewed.paused:
                running.may_go_on.clear()
            else:
                running.may_go_on.set()
        for one in claimed:
            self._running[one.id] = running = Running(status=one.status)
            running.work = asyncio.create_task(self._work(one, running), name=one.id)
        for rollout_id, running in list(self._running.items()):
            if running.stopped_at is not None and time.monotonic() - running.stopped_at > RELEASE_S:
                await self._force(rollout_id, running)

    def _exchange(self) -> tuple[Renewed, list[Claimed]]:
        """One transaction: writes the progress, renews the leases, claims what there is room for."""
        with self._database.write() as session:
            changes: dict[str, dict[str, Any]] = {}
            for rollout_id, running in list(self._running.items()):
                news, running.news = running.news, {}
                if (status := news.pop("status", None)) is not None:
                    move(session, rollout_id, status, "its first turn begins", held_by=self.name, **news)
                elif news:
                    changes[rollout_id] = news
            results.progress(session, self.name, changes)
            renewed = renew(session, self.name, list(self._running))
            give_back(session, self._watch.lost(session), reason="its worker was lost")
            return renewed, claim(session, self.name, self._most - len(self._running))

    def _stop(self, rollout_id: str, who: str) -> None:
        running = self._running.get(rollout_id)
        if running is not None and running.work is not None and running.stopped_at is None:
            running.cancelled_by, running.stopped_at = who, time.monotonic()
            running.work.cancel()

    async def _force(self, rollout_id: str, running: Running) -> None:
        """Ends the browser of a rollout that does not release it."""
        self._running.pop(rollout_id, None)
        if (instance := self._pool.instance_of(rollout_id)) is not None:
            with suppress(BrowserServiceError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._pool.end(instance)
        await self._cancelled(rollout_id, running)

    async def _work(self, one: Claimed, running: Running) -> None:
        try:
            if one.status == "judging" or await self._play(one.id, running):
                await self._judge(one.id, running)
        except asyncio.CancelledError:
            await self._cancelled(one.id, running)
        except (CannotPlay, CorruptTrajectory, FileNotFoundError) as error:
            await self._failed(one.id, "CANNOT_PLAY", str(error))
        except Exception as error:
            log.exception("rollout %s met a bug", one.id)
            await self._failed(one.id, "BUG", f"{type(error).__name__}: {error}")
        finally:
            self._running.pop(one.id, None)

    async def _play(self, rollout_id: str, running: Running) -> bool:
        """True if the rollout is to be judged."""

        def tell(phase: str, steps: int) -> None:
            if running.status == "provisioning" and phase not in PROVISIONING:
                running.status = running.news["status"] = "running"
            running.news |= {"phase": phase, "steps": steps, "live_url": self._pool.live_url(rollout_id)}

        async def go_on() -> None:
            await running.may_go_on.wait()

        def saw(sha256: str) -> None:
            running.news["picture"] = sha256

        asked = await asyncio.to_thread(results.asked, self._database, rollout_id)
        trajectory = await self._player.play(asked, Watch(tell=tell, may_go_on=go_on), saw)
        running.news.clear()
        owned = await self._write(lambda session: results.played(session, self.name, trajectory))
        running.status = "judging"
        return owned and trajectory.failure is None

    async def _judge(self, rollout_id: str, running: Running) -> None:
        asked = await asyncio.to_thread(results.asked, self._database, rollout_id)
        trajectory = await asyncio.to_thread(self._player.store.read, rollout_id)
        verdict = await self._player.judge(asked.environment, trajectory)
        await self._write(lambda session: results.judged(session, self.name, verdict))

    async def _cancelled(self, rollout_id: str, running: Running) -> None:
        if who := running.cancelled_by:
            await self._write(
                lambda session: move(session, rollout_id, "cancelled", f"cancelled by {who}", held_by=self.name)
            )

    async def _failed(self, rollout_id: str, code: str, message: str) -> None:
        await self._write(lambda session: results.failed(session, self.name, rollout_id, "infra", code, message))

    async def _write(self, change: Callable[[Any], Any]) -> Any:
        def write() -> Any:
            with self._database.write() as session:
                return change(session)

        return await asyncio.to_thread(write)

    async def _end(self) -> None:
        """Stops what is played, and gives it back to the queue."""
        works = [running.work for running in self._running.values() if running.work is not None]
        for rollout_id in list(self._running):
            self._stop(rollout_id, "")
        if works:
            await asyncio.wait(works, timeout=RELEASE_S)
        await self._give_back("its worker was stopped", counts=False)

    async def _give_back(self, reason: str, *, counts: bool = True) -> None:
        """Gives all that this worker has leases on back to the queue."""
        await self._write(
            lambda session: give_back(session, rollouts_of(session, self.name), reason=reason, counts=counts)
        )
