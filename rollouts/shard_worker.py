"""A shard worker: plays the groups of one shard in its slots, and may outlive a stage.

    stage i     [g1 g2 g3 g4 | ahead: g5]   ends when enough groups are complete
    judge, update                g4 g5 continue; paused between two turns while the policy is published
    stage i+1   [g4 g5 g6 g7]    begins with them

It carries out what `Schedule` decides: it starts and stops tasks, writes files, draws groups. A broken episode is retried
depending on the side at fault: up to `max_attempts` times for the infrastructure, `site_attempts` for the site, never for
the agent. Losing vLLM or the browser service uses up no attempt.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, Played
from agent.episodes.watch import Detect
from agent.model_config import TrainedPolicy
from agent.models.openai_chat import Served
from agent.types import Failure, Policy
from agent.verdict import Judge
from browser_service.client import BrowserPool
from environments.base import Environment
from rollouts.ended_early import ABANDONED, HOST_PAUSED, STRAGGLER
from rollouts.inputs import RunInputs
from rollouts.measures.usage import SlotMeter, add_usage
from rollouts.pace import Pace
from rollouts.plan import Group, Why, extend_plan
from rollouts.player import Player
from rollouts.schedule import Extend, Next, Schedule
from rollouts.shared_bounds import SharedBounds
from rollouts.stage_files import StageFiles
from rollouts.turn_gate import TurnGate
from storage.progress import Progress

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
        self.shard, self._run, self._slots_in_use = shard, run, slots_in_use
        self._bounds = bounds or SharedBounds(run.rollout, shard)
        self.gate = TurnGate(policy, self._bounds.server)
        self._player = Player(
            agent=agent,
            environment=environment,
            pool=pool,
            gate=self.gate,
            served=served,
            judge=judge,
            bounds=self._bounds,
            reuse=environment.name if run.rollout.reuse_contexts else None,
            detect=detect,
        )
        is_own_model, patience_s = isinstance(agent.model, TrainedPolicy), agent.episode_deadline_s
        self._schedule = Schedule(
            run.rollout, shard, is_own_model=is_own_model, patience_s=patience_s, pauses=self._bounds.pauses
        )
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._meter = SlotMeter(self._schedule.slots)
        self._early: AsyncExitStack | None = None
        """Open while the groups of a stage are played before the stage itself begins."""

    async def play(
        self,
        files: StageFiles,
        groups: list[Group],
        *,
        threshold: float,
        extends: Collection[Why] = (),
        pace: Pace | None = None,
    ) -> str | None:
        """Plays the missing episodes of these groups until enough are complete; returns the lost service, if any.

        `extends`: allowed reasons for extending the plan. Episodes running at the end go on, unless they are killed.
        """
        await self.end_early()
        self._begin(files, groups, threshold=threshold, extends=extends, pace=pace)
        async with self._bounds.playing(self._fill):
            self._fill()
            await self._until_enough(files)
        self._write_down(files)
        return self._schedule.lost

    async def begin_early(
        self, files: StageFiles, groups: list[Group], *, extends: Collection[Why], pace: Pace
    ) -> None:
        """Begins to play the groups of the next stage, and returns at once; `play` plays the rest of them."""
        await self.end_early()
        # Nobody plays a stage whose groups are all complete when it begins, so groups are replaced here already.
        self._begin(files, groups, threshold=1.0, extends={*extends, "replacement"}, pace=pace)
        self._early = AsyncExitStack()
        await self._early.enter_async_context(self._bounds.playing(self._fill))
        self._fill()

    async def end_early(self) -> None:
        """Begins no further episode of a stage that was begun early; running ones go on."""
        if self._early is not None:
            early, self._early = self._early, None
            await early.aclose()
            self._schedule.end_stage()
            self._note()
            self._write_down(self._player.files)

    def pause(self, *, is_paused: bool) -> None:
        """Begins no episode while it is paused; running ones go on."""
        self._schedule.pause(is_paused=is_paused)
        if self._early is not None and not is_paused:
            self._fill()

    def _begin(
        self, files: StageFiles, groups: list[Group], *, threshold: float, extends: Collection[Why], pace: Pace | None
    ) -> None:
        done = files.expect([name for group in groups for name in group.names()])
        # Episodes that still run were begun in the stage before; from here on they report to this stage's files.
        self._player.move_to(files)
        self._schedule.begin_stage(files.iteration, groups, done=done, threshold=threshold, extends=extends, pace=pace)
        self._meter.start()

    async def _until_enough(self, files: StageFiles) -> None:
        schedule = self._schedule
        await self._until(lambda: schedule.is_over)
        # A lost service breaks every episode: end them all, then let the stage heal the service and play another round.
        if schedule.lost is not None:
            schedule.drop_queue()
            await self._until(lambda: not schedule.running)
        elif self._run.rollout.stragglers == "kill" and not schedule.is_idle:
            await self._finish_or_kill(files)
        schedule.end_stage()
        self._note()

    def _write_down(self, files: StageFiles) -> None:
        """Writes the measurements of a stage that is over."""
        usage = self._meter.stop()
        if self._run.rollout.ranks == "here":  # a worker sees only its own requests, not whether the server is idle
            usage = usage + self._bounds.server.take()
        add_usage(files.directory, self.shard, usage)
        files.live.queue(0)
        files.live.save()
        files.progress.save()

    def carry_to(self, files: StageFiles) -> None:
        """Moves the running episodes, with their recordings, to another stage."""
        for attempt in self._player.attempts.values():
            attempt.recording.move_to(files.store)
        self._player.move_to(files)

    @property
    def under_way(self) -> set[str]:
        """Ids of the running episodes."""
        return set(self._schedule.running)

    async def stop(self) -> None:
        """Abandons the running episodes: their leases are released and the wasted attempts are logged."""
        await self._cancel(ABANDONED)
        with suppress(OSError):  # a full disk may be the reason for stopping the worker
            await self.end_early()

    def serve(self, served: Served) -> None:
        """Continues with this policy."""
        self._player.served = served
        self.gate.resume_with(served)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _fill(self) -> None:
        """Carries out the decisions of the schedule until it wants to wait for an event."""
        self._give_up()
        while True:
            self._note()
            decision = self._schedule.decide(has_room=self._bounds.has_room(), slots_in_use=self._slots_in_use())
            if decision is None:
                break
            if isinstance(decision, Extend):
                self._extend(decision)
                continue
            episode = decision.episode
            # Added before the task first runs, so that the next check of the room counts it.
            self._bounds.running.add(episode.trajectory_id)
            self._tasks[episode.trajectory_id] = asyncio.create_task(self._episode(episode), name=episode.trajectory_id)
        self._player.files.live.queue(self._schedule.queued)

    def _give_up(self) -> None:
        """Stores the waiting episodes of given-up hosts as failed by the site."""
        for slot in self._schedule.given_up():
            self._player.files.kill(slot, HOST_PAUSED)
            self._schedule.stored(slot.group, slot.trajectory_id, reward=None, is_whole=False)
            self._changed.set()

    def _extend(self, wanted: Extend) -> None:
        """Adds groups to the plan and the queue. An environment without further tasks ends all extensions."""
        files = self._player.files
        try:
            more = extend_plan(self._run, files.iteration, wanted.count, rank=self.shard, why=wanted.why)
        except ValueError as error:
            logger.warning("no further groups for %s: %s", self._run.layout.name, error)
            return self._schedule.cannot_extend()
        files.progress.add(Progress(total=self._schedule.extended(more)))

    async def _episode(self, slot: EpisodeKey) -> None:
        """Plays one episode in one slot, and frees the slot whatever happens."""
        try:
            await self._until_played(slot)
        except OSError as error:  # a full disk and the like, which would break the next episode too
            logger.exception("%s could not be played", slot.trajectory_id)
            self._schedule.lost = f"{type(error).__name__}: {error}"
        except Exception:  # a bug must not end the other episodes; the next round plays this one again
            logger.exception("%s could not be stored", slot.trajectory_id)
        finally:
            self._end(slot.trajectory_id)
        # Any worker of the process may have waited for the memory that this episode held, so all of them refill.
        self._bounds.fill()

    def _end(self, trajectory_id: str) -> None:
        """Frees the episode's slot."""
        self._note()
        self._schedule.ended(trajectory_id)
        self._tasks.pop(trajectory_id, None)
        self._bounds.running.discard(trajectory_id)
        self._player.files.live.forget(trajectory_id)
        self._changed.set()

    async def _until_played(self, slot: EpisodeKey) -> None:
        """Retries an episode until it is whole, its attempts are used up, or a service is lost."""
        while True:
            played, reward = await self._player.play(slot)
            failure = played.trajectory.failure
            if failure is not None:
                self._player.files.note(played.trajectory, failure)
            match self._schedule.attempted(slot.trajectory_id, failure, now=asyncio.get_running_loop().time()):
                case Next.KEEP:
                    return self._keep(played, reward)
                case Next.LOST:
                    return None
                case Next.AGAIN:
                    self._player.files.store.forget(slot.trajectory_id)
                    await asyncio.sleep(self._schedule.pause_s(slot.trajectory_id))

    def _keep(self, played: Played, reward: float | None) -> None:
        """Stores a trajectory. If it completes a group without learning signal, another may be begun in its place."""
        trajectory = played.trajectory
        self._player.files.keep(trajectory, played.images, reward)
        wanted = self._schedule.stored(trajectory.group, trajectory.id, reward=reward, is_whole=not trajectory.failure)
        if wanted is not None:
            self._note()
            self._extend(wanted)

    async def _finish_or_kill(self, files: StageFiles) -> None:
        """Gives the remaining episodes their grace period, then stops them and stores them as failed."""
        schedule = self._schedule
        with suppress(TimeoutError):
            async with asyncio.timeout(self._run.rollout.completion_grace_period):
                await self._until(lambda: schedule.lost is not None or schedule.is_idle)
        if schedule.lost is None:
            await self._cancel(STRAGGLER)
            # Stored as failed, so that their groups count as complete and a resume does not play them again.
            for slot in files.missing(schedule.unfinished()):
                files.kill(slot, STRAGGLER)

    async def _cancel(self, failure: Failure) -> None:
        """Stops the running episodes; `failure` is logged for each attempt whose work is lost."""
        self._schedule.end_stage()  # or groups ahead would be begun in their place
        tasks, attempts = dict(self._tasks), dict(self._player.attempts)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for trajectory_id, task in tasks.items():
            self._end(trajectory_id)  # a task cancelled before its first step never reaches its `finally`
            # A task that ended by itself just before the cancellation has stored its trajectory and lost nothing.
            if task.cancelled() and trajectory_id in attempts:
                with suppress(OSError):  # a full disk may be the reason for stopping the worker
                    self._player.files.note(self._player.broken(attempts[trajectory_id], failure), failure)
        self._bounds.fill()

    def _note(self) -> None:
        """Measures the time until now; called before each change of the schedule's numbers."""
        self._meter.note(running=len(self._schedule.running), queued=self._schedule.queued)
