"""The episodes of a stage: drawn once, written to plan.jsonl before the first is played, always read from there later.

    iterations/0003/rollout/plan.jsonl     a line per group: {"group": "i0003-click-link.3017", "members": 8, "task": {...}}

So a resume plays exactly the missing episodes, even when the draw depended on earlier measurements, on the clock
(blocked hosts return after a while) or on a file that has been changed since.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from agent.episodes.episode import EpisodeKey
from agent.types import Task
from environments.catalogs import Draw
from environments.drawing import draw_canaries, draw_tasks
from environments.history import TaskHistory
from rollouts.inputs import RolloutSettings, RunInputs
from rollouts.task_history import read_outcomes
from storage.atomic import write_atomically
from storage.errors import RunFolderError
from storage.run_layout import RunLayout
from storage.stages import Stage

Why = Literal["ahead", "replacement"]
"""The reason for adding a group to a plan while its stage is running."""
PLAN = "plan.jsonl"
CARRIED = "carried.jsonl"
LOCK, LOCK_S = "plan.lock", 30.0


class Group(BaseModel):
    """A line of plan.jsonl: a task, and the number of its episodes that are compared with one another."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    group: str
    """Example: `i0003-click-link.3017` in training, `e0003-..` in evaluation."""
    members: int
    task: Task
    iteration: int | None = None
    """The iteration in which it was begun, if it was carried over from there."""
    rank: int | None = None
    """The shard that plays it, if that does not follow from its place in the plan."""
    extra: Literal["", "ahead", "replacement"] = ""
    """The reason why it was added to the plan while the stage was running."""

    def slots(self, iteration: int) -> Iterator[EpisodeKey]:
        """The group's episodes; their ids are `i0003-<task>-m00` and so on."""
        # Trajectories of a carried-over group keep the iteration that began it, whichever stage plays them.
        begun = self.iteration or iteration
        for member in range(self.members):
            yield EpisodeKey(self.task, f"{self.group}-m{member:02d}", group=self.group, member=member, iteration=begun)

    def names(self) -> list[str]:
        """The ids of the group's trajectories."""
        return [slot.trajectory_id for slot in self.slots(0)]


def plan(run: RunInputs, iteration: int, stage: Stage) -> list[EpisodeKey]:
    """The episodes of one rollout or evaluation, group by group. Raises as `planned_groups` does."""
    return [slot for group in planned_groups(run, iteration, stage) for slot in group.slots(iteration)]


def planned_groups(run: RunInputs, iteration: int, stage: Stage) -> list[Group]:
    """The groups of a rollout or evaluation, carried-over groups first. The first call draws and writes the others.

    Raises ValueError (`UnknownTask`, `TaskFileError`) if the environment cannot give so many tasks, and `RunFolderError` if
    plan.jsonl is damaged.
    """
    layout = run.layout
    groups = read_plan(layout, iteration, stage)
    if groups is None:
        carried = read_carried(layout, iteration - 1) if stage is Stage.ROLLOUT else []
        # A held-out draw must not depend on training, or evaluations of different iterations could not be compared.
        history = history_of(layout, before=iteration) if stage is Stage.ROLLOUT else None
        # Carried-over groups take the place of new ones, so that iterations stay equally large.
        usual = usual_count(run.settings, stage) - sum(not group.task.canary for group in carried)
        fresh = draw_groups(run.settings, iteration, stage, history=history, planned=carried, count=max(0, usual))
        groups = [*carried, *fresh]
        if stage is Stage.ROLLOUT:
            groups += canary_groups(run.settings, iteration, planned=groups)
        write_plan(layout, iteration, stage, groups)
    return groups


def extend_plan(run: RunInputs, iteration: int, count: int, *, rank: int, why: Why) -> list[Group]:
    """Adds `count` groups to a rollout's plan and writes it. Returns the new groups. Raises as `planned_groups`.

    Ranks in several processes take turns, by a lock (flock) in the stage's folder; a wait of `LOCK_S` seconds is a ValueError.
    """
    lock = run.layout.stage_dir(iteration, Stage.ROLLOUT) / LOCK
    try:
        with FileLock(lock, timeout=LOCK_S):
            groups = planned_groups(run, iteration, Stage.ROLLOUT)
            history = history_of(run.layout, before=iteration)
            drawn = draw_groups(run.settings, iteration, Stage.ROLLOUT, history=history, planned=groups, count=count)
            # The rank is fixed: dealt out by its place, the group could go to another rank than the one with the free slot.
            more = [group.model_copy(update={"rank": rank, "extra": why}) for group in drawn]
            write_plan(run.layout, iteration, Stage.ROLLOUT, [*groups, *more])
            return more
    except Timeout as error:
        raise ValueError(f"another process has held {lock} for {LOCK_S:g} s") from error


def assigned(groups: list[Group], weights: list[float]) -> list[list[Group]]:
    """The groups of each rank. A group added at the end changes no assignment before it."""
    mine: list[list[Group]] = [[] for _ in weights]
    dealt = [0] * len(weights)
    for group in groups:
        # The rank of a carried-over or extra group plays it already, so it stays there; the rest are dealt by weight.
        if group.rank is not None and group.rank < len(weights):
            mine[group.rank].append(group)
            continue
        # Greedy: the rank that is least loaded for its weight. The index breaks ties, so all processes agree.
        rank = min(range(len(weights)), key=lambda one: ((dealt[one] + 1) / weights[one], one))
        dealt[rank] += 1
        mine[rank].append(group)
    return mine


def usual_count(settings: RolloutSettings, stage: Stage) -> int:
    """Number of groups of a stage when nothing is carried over or added."""
    return settings.evaluate.tasks if stage is Stage.EVALUATE else settings.rollout.groups_per_iteration


def draw_groups(
    settings: RolloutSettings,
    iteration: int,
    stage: Stage,
    *,
    history: TaskHistory | None = None,
    planned: list[Group] | None = None,
    count: int | None = None,
) -> list[Group]:
    """Draws the groups of a stage without writing them; `count` replaces the usual number.

    Raises ValueError if the environment cannot give so many tasks.
    """
    if count == 0:
        return []
    already = frozenset(group.task.id for group in planned or ())
    if stage is Stage.EVALUATE:
        wanted = Draw("heldout", iteration, settings.evaluate.seed, already)
        members, prefix = settings.evaluate.samples, f"e{iteration:04d}"
    else:
        wanted = Draw("train", iteration, settings.seed, already)
        members, prefix = settings.rollout.group_size, f"i{iteration:04d}"
    tasks = draw_tasks(
        settings.environment,
        wanted,
        usual_count(settings, stage) if count is None else count,
        history=history or TaskHistory(),
        now=datetime.now(UTC),
    )
    return [Group(group=f"{prefix}-{task.id}", members=members, task=task) for task in tasks]


def canary_groups(settings: RolloutSettings, iteration: int, *, planned: Sequence[Group] = ()) -> list[Group]:
    """The canaries of a rollout that `planned` lacks, a group of one each: `environment.canary_tasks` of its episodes.

    Raises ValueError if the environment has none.
    """
    usual = settings.rollout.groups_per_iteration * settings.rollout.group_size
    # Without 1e-9 a float product such as 0.05 * 20 may be rounded up to one canary too many.
    count = math.ceil(settings.environment.canary_tasks * usual - 1e-9) - sum(group.task.canary for group in planned)
    if count <= 0:
        return []
    wanted = Draw("train", iteration, settings.seed, frozenset(group.task.id for group in planned))
    tasks = draw_canaries(settings.environment, wanted, count)
    return [Group(group=f"i{iteration:04d}-{task.id}", members=1, task=task) for task in tasks]


def read_carried(layout: RunLayout, iteration: int) -> list[Group]:
    """The groups that an iteration's rollout left to the next one. Raises `RunFolderError` if carried.jsonl is damaged."""
    return _read(layout.stage_dir(iteration, Stage.ROLLOUT) / CARRIED) or []


def write_carried(layout: RunLayout, iteration: int, groups: list[Group]) -> None:
    """Records for good which groups an iteration leaves to the next one."""
    _write(layout.stage_dir(iteration, Stage.ROLLOUT) / CARRIED, groups)


def read_plan(layout: RunLayout, iteration: int, stage: Stage) -> list[Group] | None:
    """The groups in a stage's plan.jsonl, None if it is not planned yet. Raises `RunFolderError` if it is damaged."""
    path = plan_file(layout, iteration, stage)
    groups = _read(path)
    if groups == []:  # an empty plan would end the stage at once, without an episode
        raise RunFolderError(f"{path} is empty; delete the folder to play the stage again")
    return groups


def write_plan(layout: RunLayout, iteration: int, stage: Stage, groups: list[Group]) -> None:
    """Replaces plan.jsonl as a whole."""
    _write(plan_file(layout, iteration, stage), groups)


def plan_file(layout: RunLayout, iteration: int, stage: Stage) -> Path:
    """The path of a stage's plan."""
    return layout.stage_dir(iteration, stage) / PLAN


def history_of(layout: RunLayout, *, before: int) -> TaskHistory:
    """Outcomes of tasks in the training rollouts of earlier iterations, and the tasks submitted there."""
    plans = (read_plan(layout, iteration, Stage.ROLLOUT) or [] for iteration in range(1, before))
    # A group that was carried over is in the plans of both iterations.
    submitted = [group.task.id for groups in plans for group in groups if group.iteration is None]
    outcomes = [
        outcome for iteration in range(1, before) for outcome in read_outcomes(layout.stage_dir(iteration, Stage.JUDGE))
    ]
    return TaskHistory(outcomes, submitted)


def _read(path: Path) -> list[Group] | None:
    if not path.exists():
        return None
    try:
        return [Group.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except (ValidationError, OSError) as error:
        words = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror or str(error)
        raise RunFolderError(f"{path} is damaged ({words}); delete the folder to play the stage again") from error


def _write(path: Path, groups: list[Group]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(f"{group.model_dump_json()}\n" for group in groups).encode())
