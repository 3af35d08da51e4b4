"""The files that a shard writes while it plays a stage: trajectories, failures, progress."""

import logging
import time
from collections import Counter
from datetime import UTC, datetime

from agent.episodes.episode import EpisodeKey
from agent.types import Failure, StopReason, Trajectory
from rollouts.measures.intervals import EPISODES, Interval, add_interval
from storage.episode_phases import LiveFile
from storage.failed_attempts import FAILURES, FailedAttempt, append_line, read_failures
from storage.progress import Progress, ProgressFile
from storage.run_layout import RunLayout
from storage.stages import Stage
from storage.store import TrajectoryStore

logger = logging.getLogger(__name__)


class StageFiles:
    """The files of one stage for one shard."""

    def __init__(self, layout: RunLayout, iteration: int, stage: Stage, *, shard: int, slots: int) -> None:
        self.iteration, self.stage = iteration, stage
        self.directory = layout.stage_dir(iteration, stage)
        self.store = TrajectoryStore(self.directory)
        self.progress = ProgressFile(self.directory, shard)
        self.live = LiveFile(self.directory, shard, slots=slots)
        self._failures = self.directory / FAILURES
        self._attempts: Counter[str] = Counter()
        for failed in read_failures(self._failures):
            self._attempts[failed.trajectory_id] = failed.attempt

    def attempt_of(self, trajectory_id: str) -> int:
        """The number of the next attempt at an episode."""
        return self._attempts[trajectory_id] + 1

    def take_over(self, before: "StageFiles") -> None:
        """Takes the running episodes of another stage, with their numbers of attempts."""
        self._attempts |= before._attempts
        before.live.hand_over(self.live)

    def note(self, broken: Trajectory, failure: Failure) -> None:
        """Log the failure of an attempt, whether or not it is retried."""
        self._attempts[broken.id] = broken.attempt
        self.progress.add(Progress(failures=1))
        attempt = FailedAttempt(
            trajectory_id=broken.id,
            attempt=broken.attempt,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            failure=failure,
            steps=len(broken.steps),
            seconds=broken.seconds,
        )
        logger.info("%s attempt %d: %s %s: %s", broken.id, broken.attempt, failure.side, failure.code, failure.message)
        append_line(self._failures, attempt.model_dump_json())

    def expect(self, names: list[str]) -> set[str]:
        """Counts the episodes of the shard; returns the ids of those that are stored already."""
        done, now = {name for name in names if self.store.has(name)}, self.progress.now
        self.progress.add(Progress(total=len(names) - now.total, done=len(done) - now.done))
        return done

    def missing(self, slots: list[EpisodeKey]) -> list[EpisodeKey]:
        """The episodes of these that are not stored."""
        return [slot for slot in slots if not self.store.has(slot.trajectory_id)]

    def keep(self, trajectory: Trajectory, images: dict[str, bytes], reward: float | None) -> None:
        """Store a trajectory. The reward is only for the display; the judge stage gives the final one."""
        self.store.write(trajectory, images)
        if trajectory.seconds:
            now = time.time()
            interval = Interval(trajectory_id=trajectory.id, began=now - trajectory.seconds, ended=now)
            add_interval(self.directory / EPISODES, interval)
        self.progress.add(
            Progress(done=1, judged=int(reward is not None), successes=int(reward is not None and reward >= 1))
        )

    def broken(self, slot: EpisodeKey, failure: Failure, *, seconds: float | None = None) -> Trajectory:
        """The trajectory of an attempt that returned none: its recorded steps. `seconds`: None for the steps' sum."""
        steps = self.store.steps_so_far(slot.trajectory_id)
        if seconds is None:
            seconds = sum(step.seconds.get("think", 0) + step.seconds.get("step", 0) for step in steps)
        return Trajectory(
            id=slot.trajectory_id,
            task=slot.task,
            goal=slot.task.goal,
            group=slot.group,
            member=slot.member,
            iteration=slot.iteration,
            steps=tuple(steps),
            stop=StopReason.FAILED,
            failure=failure,
            attempt=slot.attempt,
            seconds=seconds,
        )

    def kill(self, slot: EpisodeKey, failure: Failure) -> None:
        """Store an episode that was stopped, or never begun, as failed: no reward can be read from it."""
        latest = slot._replace(attempt=max(1, self._attempts[slot.trajectory_id]))
        self.keep(self.broken(latest, failure), {}, None)
