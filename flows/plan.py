"""Which episodes a stage plays: drawn once, written to plan.jsonl before the first is played, and read from there ever after.

    iterations/0003/rollout/plan.jsonl     a line per group: {"group": "i0003-click-link.3017", "members": 8, "task": {...}}

So a resume plays exactly the missing episodes even when the draw depended on what was measured before, on the clock (blocked
hosts come back after a while) or on a file that has been changed since.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.episode import Slot
from agent.store import write_atomically
from agent.types import Task
from environments.catalogs import Draw
from environments.drawing import draw_tasks
from environments.history import TaskHistory
from flows.config import LoopConfig
from flows.run_folder import RunFolder, RunFolderError, Stage
from flows.task_history import read_outcomes

PLAN = "plan.jsonl"


class Group(BaseModel):
    """A line of plan.jsonl: a task, and how many episodes of it are compared with one another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    """Example: `i0003-click-link.3017` in training, `e0003-..` in evaluation."""
    members: int
    task: Task

    def slots(self, iteration: int) -> Iterator[Slot]:
        """The group's episodes; their ids are `i0003-<task>-m00` and so on."""
        for member in range(self.members):
            yield Slot(self.task, f"{self.group}-m{member:02d}", group=self.group, member=member, iteration=iteration)


def plan(folder: RunFolder, iteration: int, stage: Stage) -> list[Slot]:
    """The episodes of one rollout or evaluation, task by task, all members of a group together. The first call draws them.

    Raises ValueError (`UnknownTask`, `TaskFileError`) if the environment cannot give so many tasks, and `RunFolderError` if
    plan.jsonl is damaged.
    """
    groups = read_plan(folder, iteration, stage)
    if groups is None:
        history = history_of(folder, before=iteration) if stage is Stage.ROLLOUT else None
        groups = draw_groups(folder.config, iteration, stage, history=history)
        write_plan(folder, iteration, stage, groups)
    return [slot for group in groups for slot in group.slots(iteration)]


def extend_plan(folder: RunFolder, iteration: int, stage: Stage, count: int) -> list[Slot]:
    """`count` groups more than a stage's plan has, written to it too: for groups in the place of those without a signal.

    Raises as `plan` does.
    """
    plan(folder, iteration, stage)
    groups = read_plan(folder, iteration, stage) or []
    history = history_of(folder, before=iteration) if stage is Stage.ROLLOUT else None
    more = draw_groups(folder.config, iteration, stage, history=history, planned=groups, count=count)
    write_plan(folder, iteration, stage, [*groups, *more])
    return [slot for group in more for slot in group.slots(iteration)]


def draw_groups(
    config: LoopConfig,
    iteration: int,
    stage: Stage,
    *,
    history: TaskHistory | None = None,
    planned: list[Group] | None = None,
    count: int | None = None,
) -> list[Group]:
    """The groups of a stage, not yet written. Raises ValueError if the environment cannot give so many tasks."""
    already = frozenset(group.task.id for group in planned or ())
    if stage is Stage.EVALUATE:
        wanted = Draw("heldout", iteration, config.evaluate.seed, already)
        usual, members, prefix = config.evaluate.tasks, config.evaluate.samples, f"e{iteration:04d}"
    else:
        wanted = Draw("train", iteration, config.seed, already)
        usual, members, prefix = config.rollout.groups_per_iteration, config.rollout.group_size, f"i{iteration:04d}"
    tasks = draw_tasks(
        config.environment,
        wanted,
        usual if count is None else count,
        history=history or TaskHistory(),
        now=datetime.now(UTC),
    )
    return [Group(group=f"{prefix}-{task.id}", members=members, task=task) for task in tasks]


def read_plan(folder: RunFolder, iteration: int, stage: Stage) -> list[Group] | None:
    """What plan.jsonl of a stage says, None if it is not planned yet. Raises `RunFolderError` if it is damaged."""
    path = plan_file(folder, iteration, stage)
    if not path.exists():
        return None
    try:
        return [Group.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except ValidationError as error:
        raise RunFolderError(
            f"{path} is damaged ({error.errors()[0]['msg']}); delete the folder to play the stage again"
        ) from error


def write_plan(folder: RunFolder, iteration: int, stage: Stage, groups: list[Group]) -> None:
    """Replaces plan.jsonl as a whole."""
    path = plan_file(folder, iteration, stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(f"{group.model_dump_json()}\n" for group in groups).encode())


def plan_file(folder: RunFolder, iteration: int, stage: Stage) -> Path:
    """Where a stage's plan is."""
    return folder.stage_dir(iteration, stage) / PLAN


def history_of(folder: RunFolder, *, before: int) -> TaskHistory:
    """What became of tasks in the training rollouts of earlier iterations, and which were submitted there."""
    plans = (read_plan(folder, iteration, Stage.ROLLOUT) or [] for iteration in range(1, before))
    submitted = [group.task.id for groups in plans for group in groups]
    outcomes = [
        outcome for iteration in range(1, before) for outcome in read_outcomes(folder.stage_dir(iteration, Stage.JUDGE))
    ]
    return TaskHistory(outcomes, submitted)
