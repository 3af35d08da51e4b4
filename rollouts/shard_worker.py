"""A rank: plays the groups of one shard in its slots, starts an episode whenever a slot is free, may outlive a stage.

    stage i     [g1 g2 g3 g4 | ahead: g5]   ends when enough groups are complete
    judge, update                g4 g5 continue; paused between two turns while the policy is published
    stage i+1   [g4 g5 g6 g7]    begins with them

A broken episode is retried depending on the side at fault: up to `max_attempts` times for the infrastructure,
`site_attempts` for the site, never for the agent. Losing vLLM or the browser service uses up no attempt.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, Played
from agent.episodes.watch import Detect
from agent.failures import CONFIGURATION
from agent.model_config import TrainedPolicy
from agent.models.openai_chat import Served
from agent.types import Failure, Policy
from agent.verdict import Judge
from browser_service.client import BrowserPool
from environments.base import Environment
from rollouts.board import Board
from rollouts.episode_queue import EpisodeQueue
from rollouts.failures import ABANDONED, BROWSERS_LOST, HOST_PAUSED, REFUSALS, SERVICE_LOST, STRAGGLER
from rollouts.inputs import RunInputs
from rollouts.plan import Group, Why, extend_plan
from rollouts.player import Player
from rollouts.shared_bounds import SharedBounds
from rollouts.stage_files import StageFiles
from rollouts.tries import Tries
from rollouts.turn_gate import TurnGate
from rollouts.usage import SlotMeter, add_usage

logger = logging.getLogger(__name__)


class ShardWorker:
    """Plays the groups of one stage after another. All methods belong to one event loop."""

    def __init__(
        self,
        run: RunInputs,
        shard: int,
        *,
        agent: AgentConfig,
        environment: Environment,
        pool: BrowserPool,
        policy: Policy,
        served: Served,
        judge: Judge | None = None,
        detect: Detect | None = None,
        bounds: SharedBounds | None = None,
        slots_in_use: Callable[[], int] = lambda: 0,
    ) -> None:
        """`bounds`: shared by the workers of this process. `slots_in_use`: slots of the shard that others' episodes hold."""
        self.shard, self._run, self._config = shard, run, run.rollout
        self._slots, self._slots_in_use = self._config.slots_of(shard), slots_in_use
        self._bounds = bounds or SharedBounds(self._config, shard)
        self.gate = TurnGate(policy, self._bounds.server)
        self._player = Player(
            agent=agent,
            environment=environment,
            pool=pool,
            gate=self.gate,
            served=served,
            judge=judge,
            bounds=self._bounds,
            reuse=environment.name if self._config.reuse_contexts else None,
            # Looked up at each use: a carried-over episode changes its stage while it runs.
            files=lambda: self._files_now,
            changing=self._count,
            detect=detect,
        )
        self._files: StageFiles | None = None
        self._board = Board(self._config, [], done=set())
        self._queue = EpisodeQueue(self._bounds.pauses)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._lost: str | None = None
        self._refusals = 0
        self._extends: set[Why] = set()
        self._meter = SlotMeter(self._slots)

    async def play(
        self, files: StageFiles, groups: list[Group], *, threshold: float, extends: Collection[Why] = ()
    ) -> str | None:
        """Plays the missing episodes of these groups until enough are complete; returns the lost service, if any.

        `extends`: allowed reasons for extending the plan. Episodes running at the end go on, unless they are killed.
        """
        slots = [slot for group in groups for slot in group.slots(files.iteration)]
        done = {slot.trajectory_id for slot in slots if files.store.has(slot.trajectory_id)}
        # Episodes that still run were begun in the stage before; from here on they report to this stage's files.
        if self._files is not None:
            files.take_over(self._files)
        self._files, self._lost, self._extends, self._refusals = files, None, set(extends), 0
        self._board = Board(self._config, groups, done=done, threshold=threshold)
        files.expect(total=len(slots), done=len(done))
        # An episode that still runs from the stage before must not be started a second time.
        self._queue.extend(slot for slot in slots if slot.trajectory_id not in done | self._running.keys())
        async with self._bounds.playing(self._fill):
            await self._until_enough(files)
        self._write_down(files)
        return self._lost

    async def _until_enough(self, files: StageFiles) -> None:
        self._meter.start()
        self._fill()
        await self._until(lambda: self._lost is not None or self._board.is_enough or not (self._running or self._queue))
        # A lost service breaks every episode: end them all, then let the stage heal the service and play another round.
        if self._lost is not None:
            self._queue.clear()
            await self._until(lambda: not self._running)
        elif self._config.stragglers == "kill" and (self._running or self._queue):
            await self._finish_or_kill(files)
        # The next stage queues the episodes of unfinished groups again; running ones go on.
        self._queue.clear()
        self._extends.clear()
        self._count()

    def _write_down(self, files: StageFiles) -> None:
        """Writes the measurements of a stage that is over."""
        usage = self._meter.stop()
        if self._config.ranks == "here":  # a worker sees only its own requests, not whether the server is idle
            usage = usage + self._bounds.server.take()
        add_usage(files.directory, self.shard, usage)
        files.live.queue(0)
        files.live.save()
        files.progress.save()

    def carry_to(self, files: StageFiles) -> None:
        """Moves the running episodes, with their recordings, to another stage."""
        for attempt in self._player.attempts.values():
            attempt.recording.move_to(files.store)
        if self._files is not None:
            files.take_over(self._files)
        self._files = files

    @property
    def under_way(self) -> set[str]:
        """Ids of the running episodes."""
        return set(self._running)

    async def stop(self) -> None:
        """Abandons the running episodes: their leases are released and the wasted attempts are logged."""
        await self._cancel(ABANDONED)

    def serve(self, served: Served) -> None:
        """Continues with this policy."""
        self._player.served = served
        self.gate.resume_with(served)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _fill(self) -> None:
        """Begins episodes while there is a free slot, a queued episode and room for it."""
        self._give_up()
        while self._has_slot() and self._lost is None and self._bounds.has_room():
            slot = self._queue.take() or (self._queue.take() if self._begin_ahead() else None)
            if slot is None:
                break
            self._count()
            # Added before the task first runs, so that the next check of slots and room counts it.
            self._bounds.running.add(slot.trajectory_id)
            self._running[slot.trajectory_id] = asyncio.create_task(self._episode(slot), name=slot.trajectory_id)
        self._files_now.live.queue(len(self._queue))

    def _give_up(self) -> None:
        """Stores the waiting episodes of given-up hosts as failed by the site."""
        for slot in self._queue.take_given_up():
            self._files_now.kill(slot, HOST_PAUSED)
            self._board.complete(slot.group, slot.trajectory_id, None)
            self._changed.set()

    def _has_slot(self) -> bool:
        """True if a slot is free. A rank keeps at least one, so that it never only waits for the other rank."""
        return len(self._running) < max(1, self._slots - self._slots_in_use())

    def _begin_ahead(self) -> bool:
        """True if groups of the next iteration were begun: none of this one may begin, and a slot is free."""
        # Each shard draws its own part of the groups ahead, rounded up.
        left = -(-self._config.ahead // self._config.shards) - self._board.count("ahead")
        return "ahead" in self._extends and left > 0 and not self._board.is_enough and self._extend(left, "ahead")

    def _extend(self, count: int, why: Why) -> bool:
        """Adds `count` groups to the plan and the queue. False if the environment has no further tasks."""
        files = self._files_now
        try:
            more = extend_plan(self._run, files.iteration, count, rank=self.shard, why=why)
        except ValueError as error:
            logger.warning("no further groups for %s: %s", self._run.layout.name, error)
            # A later request would fail the same way; the stage goes on with the groups that it has.
            self._extends.clear()
            return False
        self._board.add(more)
        slots = [slot for group in more for slot in group.slots(files.iteration)]
        files.expect(total=files.progress.now.total + len(slots), done=files.progress.now.done)
        self._queue.extend(slots)
        return bool(slots)

    async def _episode(self, slot: EpisodeKey) -> None:
        """Plays one episode in one slot, and frees the slot whatever happens."""
        try:
            await self._until_played(slot)
        except OSError as error:  # a full disk and the like, which would break the next episode too
            logger.exception("%s could not be played", slot.trajectory_id)
            self._lost = f"{type(error).__name__}: {error}"
        except Exception:  # a bug must not end the other episodes; the next round plays this one again
            logger.exception("%s could not be stored", slot.trajectory_id)
        finally:
            self._end(slot.trajectory_id)
        # Any rank of the process may have waited for the memory that this episode held, so all of them refill.
        self._bounds.fill()

    def _end(self, trajectory_id: str) -> None:
        """Frees the episode's slot."""
        self._count()
        self._running.pop(trajectory_id, None)
        self._bounds.running.discard(trajectory_id)
        self._files_now.live.forget(trajectory_id)
        self._changed.set()

    async def _until_played(self, slot: EpisodeKey) -> None:
        """Retries an episode until it is whole, its attempts are used up, or a service is lost."""
        tries = Tries(self._config, patience_s=self._player.agent.episode_deadline_s)
        while True:
            played, reward = await self._player.play(slot)
            failure = played.trajectory.failure
            if failure is not None:
                self._files_now.note(played.trajectory, failure)
            ours = isinstance(self._player.agent.model, TrainedPolicy)
            # A lost service is no fault of the episode: no attempt is used up, and the next round plays it again.
            if failure is not None and (
                failure.code in (SERVICE_LOST if ours else BROWSERS_LOST) or self._is_hopeless(failure)
            ):
                self._lost = f"{failure.code}: {failure.message}"
                return
            if failure is None or not tries.another_after(failure):
                self._keep(played, reward)
                return
            self._files_now.store.forget(slot.trajectory_id)
            await asyncio.sleep(tries.pause_s())

    def _is_hopeless(self, failure: Failure) -> bool:
        """True if the configuration seems to break every episode: `REFUSALS` failures and no valid episode between."""
        if failure.code in CONFIGURATION:
            self._refusals += 1
        return failure.code == "MODEL_KEY" or self._refusals >= REFUSALS

    def _keep(self, played: Played, reward: float | None) -> None:
        """Stores a trajectory. If it completes a group without learning signal, another may be begun in its place."""
        trajectory = played.trajectory
        if trajectory.failure is None:
            self._refusals = 0
        self._files_now.keep(trajectory, played.images, reward)
        if self._board.complete(trajectory.group, trajectory.id, reward) and "replacement" in self._extends:
            self._extend(1, "replacement")

    async def _finish_or_kill(self, files: StageFiles) -> None:
        """Gives the remaining episodes their grace period, then stops them and stores them as failed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.completion_grace_period):
                await self._until(lambda: self._lost is not None or not (self._running or self._queue))
        if self._lost is None:
            await self._cancel(STRAGGLER)
            # Stored as failed, so that their groups count as complete and a resume does not play them again.
            for slot in [slot for group in self._board.unfinished for slot in group.slots(files.iteration)]:
                if not files.store.has(slot.trajectory_id):
                    files.kill(slot, STRAGGLER)

    async def _cancel(self, failure: Failure) -> None:
        """Stops the running episodes; `failure` is logged for each attempt whose work is lost."""
        self._queue.clear()
        tasks, attempts = dict(self._running), dict(self._player.attempts)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for trajectory_id, task in tasks.items():
            self._end(trajectory_id)  # a task cancelled before its first step never reaches its `finally`
            # A task that ended by itself just before the cancellation has stored its trajectory and lost nothing.
            if task.cancelled() and trajectory_id in attempts:
                with suppress(OSError):  # a full disk may be the reason for stopping the rank
                    self._files_now.note(self._player.broken(attempts[trajectory_id], failure), failure)
        self._bounds.fill()

    def _count(self) -> None:
        self._meter.note(running=len(self._running), queued=len(self._queue))

    @property
    def _files_now(self) -> StageFiles:
        assert self._files is not None, "a rank plays stages only"
        return self._files
