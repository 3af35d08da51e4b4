"""One shard's slots: a queue of groups, episodes that begin the moment a slot is free, and what may outlive a stage.

    stage i     [g1 g2 g3 g4 | ahead: g5]   ends when enough groups are complete
    judge, update                g4 g5 go on; held between two turns while the policy is published
    stage i+1   [g4 g5 g6 g7]    begins with them

An episode that breaks is tried again by its fault: up to `max_attempts` times when the infrastructure was at fault,
`site_attempts` when the site was, never when the agent was. Losing vLLM or the browser service uses up no attempt.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import cast

from agent.config import AgentConfig
from agent.episode import Slot, Watch, play
from agent.judging.verifier import Verifier
from agent.limits import Gates
from agent.models.config import TrainedPolicy
from agent.models.openai_chat import Served
from agent.store import Recording
from agent.types import Policy, Trajectory
from browser_service.client import BrowserPool
from environments.base import Environment
from flows.board import Board, tries_of
from flows.gate import TurnGate
from flows.live import Phase
from flows.plan import Group, Why, extend_plan
from flows.run_folder import RunFolder
from flows.stage_files import StageFiles
from flows.usage import UsageMeter

logger = logging.getLogger(__name__)

BROWSERS_LOST = frozenset({"UNREACHABLE", "DRAINING"})
SERVICE_LOST = BROWSERS_LOST | {"MODEL_GONE", "MODEL_UNREACHABLE", "POLICY_CHANGED"}
"""Failure codes that say that a service of ours is away, not that an episode went wrong. Another's model is none of ours."""
RETRY_PAUSE_S = 0.5
"""Seconds before the second attempt of an episode; doubled for each further one."""


class Rank:
    """Plays groups of one stage after the other. All its methods belong to one event loop."""

    def __init__(
        self,
        folder: RunFolder,
        shard: int,
        *,
        agent: AgentConfig,
        environment: Environment,
        pool: BrowserPool,
        policy: Policy,
        served: Served,
        slots_in_use: Callable[[], int] = lambda: 0,
    ) -> None:
        """`slots_in_use`: how many of the shard's slots another rank's episodes hold now; they are left to it."""
        self.shard = shard
        self._slots_in_use = slots_in_use
        self.gate = TurnGate(policy)
        self._folder, self._config = folder, folder.config.rollout
        self._agent, self._environment, self._pool, self._served = agent, environment, pool, served
        self._slots = self._config.slots_of(shard)
        self._gates = Gates(self._config.limits, parts=self._config.shards)
        self._verifier = Verifier(environment.check)
        self._files: StageFiles | None = None
        self._board = Board(self._config, [], done=set())
        self._queue: deque[Slot] = deque()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._recordings: dict[str, Recording] = {}
        self._changed = asyncio.Event()
        self._lost: str | None = None
        self._extends: set[Why] = set()
        self._meter = UsageMeter(self._slots)

    async def play(
        self, files: StageFiles, groups: list[Group], *, threshold: float, extends: Collection[Why] = ()
    ) -> str | None:
        """Plays what is missing of these groups until enough of them are complete; returns which service was lost, if any.

        `extends`: why the plan may be made longer. What is under way at the end goes on, unless it is to be killed.
        """
        slots = [slot for group in groups for slot in group.slots(files.iteration)]
        done = {slot.trajectory_id for slot in slots if files.store.has(slot.trajectory_id)}
        self._files, self._lost, self._extends = files, None, set(extends)
        self._board = Board(self._config, groups, done=done, threshold=threshold)
        files.expect(total=len(slots), done=len(done))
        self._queue.extend(slot for slot in slots if slot.trajectory_id not in done | self._running.keys())
        self._meter.start()
        self._fill()
        await self._until(lambda: self._lost is not None or self._board.is_enough or not (self._running or self._queue))
        if self._lost is not None:
            self._queue.clear()
            await self._until(lambda: not self._running)
        elif self._config.stragglers == "kill" and (self._running or self._queue):
            await self._finish_or_kill(files)
        self._queue.clear()
        self._extends.clear()
        self._count()
        self._meter.stop(files.directory, self.shard)
        files.live.queue(0)
        files.live.save()
        files.progress.save()
        return self._lost

    def carry_to(self, files: StageFiles) -> None:
        """From now on what is under way belongs to another stage."""
        for trajectory_id, recording in self._recordings.items():
            recording.move_to(files.store)
            if self._files:
                self._files.live.forget(trajectory_id)
        if self._files:
            self._files.live.save()
        self._files = files

    @property
    def under_way(self) -> set[str]:
        """Ids of the episodes that are being played."""
        return set(self._running)

    async def stop(self) -> None:
        """Gives up what is under way; its leases are given back."""
        self._queue.clear()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def serve(self, served: Served) -> None:
        """Goes on with this policy."""
        self._served = served
        self.gate.serve(served)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _fill(self) -> None:
        """Begins episodes as long as there are a free slot, an episode and room for its pictures."""
        while self._has_slot() and self._lost is None and self._has_room():
            if not self._queue and not self._begin_ahead():
                break
            slot = self._queue.popleft()
            self._count()
            self._running[slot.trajectory_id] = asyncio.create_task(self._episode(slot), name=slot.trajectory_id)
        self._files_now.live.queue(len(self._queue))

    def _has_slot(self) -> bool:
        """One is always its own, so that a rank never only waits for the other."""
        return len(self._running) < max(1, self._slots - self._slots_in_use())

    def _has_room(self) -> bool:
        if self._config.in_flight_mb is None or not self._running:
            return True
        return sum(recording.bytes for recording in self._recordings.values()) < self._config.in_flight_mb * 1e6

    def _begin_ahead(self) -> bool:
        """Whether groups of the next iteration could be begun: nothing of this one waits, and a slot is free."""
        left = -(-self._config.ahead // self._config.shards) - self._board.count("ahead")
        return "ahead" in self._extends and left > 0 and not self._board.is_enough and self._extend(left, "ahead")

    def _extend(self, count: int, why: Why) -> bool:
        """Whether so many groups could be added to the plan and the queue."""
        files = self._files_now
        try:
            more = extend_plan(self._folder, files.iteration, count, rank=self.shard, why=why)
        except ValueError as error:
            logger.warning("no further groups for %s: %s", self._folder.name, error)
            self._extends.clear()
            return False
        self._board.add(more)
        slots = [slot for group in more for slot in group.slots(files.iteration)]
        files.expect(total=files.progress.now.total + len(slots), done=files.progress.now.done)
        self._queue.extend(slots)
        return bool(slots)

    async def _episode(self, slot: Slot) -> None:
        """One episode on one slot, whatever becomes of it."""
        try:
            await self._until_played(slot)
        except Exception as error:  # a bug of ours must not take the other episodes along, nor be silent
            logger.exception("%s could not be played", slot.trajectory_id)
            self._lost = f"{type(error).__name__}: {error}"
        finally:
            self._count()
            del self._running[slot.trajectory_id]
            self._recordings.pop(slot.trajectory_id, None)
            self._files_now.live.forget(slot.trajectory_id)
            self._changed.set()
        self._fill()

    async def _until_played(self, slot: Slot) -> None:
        """Try an episode until it is whole, until its tries are used up, or until a service is lost."""
        tries = 0
        while True:
            tries += 1
            attempt = slot._replace(attempt=self._files_now.attempt_of(slot.trajectory_id))
            recording = self._recordings[slot.trajectory_id] = self._files_now.store.begin(slot.trajectory_id)
            played = await play(
                attempt,
                policy=self.gate,
                pool=self._pool,
                serve=self._environment.serve,
                viewport=self._environment.viewport,
                config=self._agent,
                # Another model's trajectories belong to no version of the policy.
                policy_version=self._served.version if isinstance(self._agent.model, TrainedPolicy) else None,
                reuse=self._environment.name if self._config.reuse_contexts else None,
                recording=recording,
                watch=self._watch(attempt),
            )
            failure = played.trajectory.failure
            if failure is not None:
                self._files_now.note(played.trajectory, failure)
            ours = isinstance(self._agent.model, TrainedPolicy)
            if failure is not None and failure.code in (SERVICE_LOST if ours else BROWSERS_LOST):
                self._lost = f"{failure.code}: {failure.message}"
                return
            if failure is None or tries >= tries_of(failure, self._config):
                await self._keep(played.trajectory, played.images)
                return
            await asyncio.sleep(RETRY_PAUSE_S * 2 ** (tries - 1) * random.uniform(0.5, 1.5))

    def _watch(self, slot: Slot) -> Watch:
        step = 0

        def tell(phase: str, steps: int) -> None:
            nonlocal step
            self._count()
            step = steps
            self._files_now.live.tell(slot.trajectory_id, cast(Phase, phase), steps, slot.attempt)

        async def may_go_on() -> None:
            if not self.gate.is_open:
                tell("parked", step)
                await self.gate.opened()

        return Watch(self._gates, tell, may_go_on)

    async def _keep(self, trajectory: Trajectory, images: dict[str, bytes]) -> None:
        """Store a trajectory for good; a group that it completes may have taught nothing, and then another is begun."""
        reward = (await self._verifier.judge(trajectory)).reward
        self._files_now.keep(trajectory, images, reward)
        if self._board.complete(trajectory.group, trajectory.id, reward) and "replacement" in self._extends:
            self._extend(1, "replacement")

    async def _finish_or_kill(self, files: StageFiles) -> None:
        """The rest gets its grace period."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.completion_grace_period):
                await self._until(lambda: self._lost is not None or not (self._running or self._queue))
        if self._lost is None:
            await self.stop()
            for slot in [slot for group in self._board.unfinished for slot in group.slots(files.iteration)]:
                if not files.store.has(slot.trajectory_id):
                    files.kill(slot)

    def _count(self) -> None:
        self._meter.note(running=len(self._running), queued=len(self._queue), asking=self.gate.asking)

    @property
    def _files_now(self) -> StageFiles:
        assert self._files is not None, "a rank plays stages only"
        return self._files
