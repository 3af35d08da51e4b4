"""A run folder while its rollout is being played, written with what the engine writes: plan, live files, trajectories, failures."""

import time
from pathlib import Path

from agent.types import Completion, Failure, Side, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import ClickId, Observation, Viewport
from flows.settings.run_folder import RunFolder
from rollouts.plan import Group, write_plan
from storage.episode_phases import Cell, Live, Phase
from storage.failed_attempts import FAILURES, FailedAttempt, append_line
from storage.progress import Progress
from storage.stages import Stage, StageReport
from storage.store import TrajectoryStore
from storage.verdicts import VERDICTS

PAGE = Observation(url="http://a/", title="A", viewport=Viewport())


class WatchedStage:
    """One stage of a run. Example: `WatchedStage(folder, groups=3, members=4).ends(name, steps=7)`."""

    def __init__(
        self, folder: RunFolder, *, groups: int, members: int, iteration: int = 1, stage: Stage = Stage.ROLLOUT
    ) -> None:
        """Writes the plan; no episode has begun."""
        self.folder, self.iteration, self.stage = folder, iteration, stage
        self.directory = folder.stage_dir(iteration, stage)
        letter = "e" if stage is Stage.EVALUATE else "i"
        tasks = [Task(id=f"click-link.{3000 + number}", environment="miniwob") for number in range(groups)]
        self.groups = [Group(group=f"{letter}{iteration:04d}-{task.id}", members=members, task=task) for task in tasks]
        write_plan(folder, iteration, stage, self.groups)
        self.names = [slot.trajectory_id for group in self.groups for slot in group.slots(iteration)]

    def ends(self, *names: str, steps: int = 3, broken: Side | None = None) -> None:
        """Stores the trajectories of these episodes."""
        for name in names:
            write_quickly(self.directory, trajectory(name, steps=steps, broken=broken, iteration=self.iteration))

    def plays(
        self, *names: str, phase: Phase, step: int = 0, shard: int = 0, age_s: float = 0, queued: int = 0
    ) -> None:
        """Writes the live file of a shard that plays these episodes, `age_s` seconds old."""
        path = self.directory / f"live-{shard:02d}.json"
        live = Live.model_validate_json(path.read_bytes()) if path.exists() else Live()
        at = time.time() - age_s
        live.episodes |= {name: Cell(phase=phase, step=step, since=at - 12) for name in names}
        live.at, live.queued, live.slots = at, queued, len(live.episodes) + 1
        path.write_text(live.model_dump_json())

    def counts(self, *, judged: int, successes: int) -> None:
        """Writes the engine's own counts of the episodes that are over."""
        progress = Progress(done=judged, total=len(self.names), judged=judged, successes=successes)
        (self.directory / "progress-00.json").write_text(progress.model_dump_json())

    def breaks(self, name: str, side: Side, code: str, *, times: int = 1) -> None:
        """Adds broken attempts at an episode."""
        failure = Failure(side=side, code=code, message="gone", retryable=True)
        for attempt in range(1, times + 1):
            line = FailedAttempt(trajectory_id=name, attempt=attempt, at="2026-01-02T03:04:05+00:00", failure=failure)
            append_line(self.directory / FAILURES, line.model_dump_json())

    def judges(self, rewards: dict[str, float | None]) -> None:
        """Writes the judge's verdicts."""
        judge = self.directory if self.stage is Stage.EVALUATE else self.folder.stage_dir(self.iteration, Stage.JUDGE)
        judge.mkdir(parents=True, exist_ok=True)
        verdicts = (Verdict(trajectory_id=name, reward=reward, judge="v") for name, reward in rewards.items())
        (judge / VERDICTS).write_text("".join(f"{verdict.model_dump_json()}\n" for verdict in verdicts))

    def finishes(self, *, seconds: float = 30.0) -> None:
        """Writes the report of the finished stage."""
        self.folder.finish(StageReport(stage=self.stage, iteration=self.iteration, seconds=seconds))


def trajectory(name: str, *, steps: int, broken: Side | None, iteration: int) -> Trajectory:
    """A trajectory of some steps, which broke if a side is named."""
    said = Completion(text="click(1)", prompt_token_ids=(1, 2, 3), token_ids=(4, 5), logprobs=(-0.5, -0.25))
    one = Step(index=0, observation=PAGE, completion=said, action=ClickId(id=1))
    group, _, member = name.rpartition("-m")
    return Trajectory(
        id=name,
        task=Task(id=group.partition("-")[2], environment="miniwob"),
        goal="Click the link.",
        group=group,
        member=int(member),
        iteration=iteration,
        steps=tuple(one.model_copy(update={"index": index}) for index in range(steps)),
        stop=StopReason.FAILED if broken else StopReason.DONE,
        failure=Failure(side=broken, code="GONE", message="gone", retryable=False) if broken else None,
    )


def write_quickly(directory: Path, one: Trajectory) -> None:
    """As the store writes, without waiting for the disk: a test has thousands of them."""
    path = TrajectoryStore(directory).file_of(one.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(one.model_dump_json())
