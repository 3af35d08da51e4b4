"""Success by task in an evaluation, from its plan and its verdicts; no trajectory is read."""

from collections import defaultdict
from typing import NamedTuple

from flows.settings.run_folder import RunFolder
from rollouts.plan import read_plan
from storage.errors import LoopError
from storage.stages import Stage
from storage.verdicts import VERDICTS, read_verdicts


class TaskRate(NamedTuple):
    """Successes of one task in one evaluation. Blocked and unjudged episodes do not count."""

    goal: str
    successes: int
    judged: int

    @property
    def rate(self) -> float:
        """Share of successes among the judged episodes, 0 to 1."""
        return self.successes / self.judged


def evaluated(folder: RunFolder) -> list[int]:
    """The iterations with a finished evaluation, in their order."""
    return [one for one in range(folder.config.iterations + 1) if folder.is_done(one, Stage.EVALUATE)]


def heldout_rates(folder: RunFolder, iteration: int) -> dict[str, TaskRate]:
    """The rate of each held-out task with a judged episode, by task id. Raises `LoopError` if a file is damaged."""
    groups = read_plan(folder, iteration, Stage.EVALUATE) or []
    directory = folder.stage_dir(iteration, Stage.EVALUATE)
    try:
        rewards = {v.trajectory_id: v.reward for v in read_verdicts(directory) if not v.blocked}
    except (OSError, ValueError) as error:
        raise LoopError(f"{directory / VERDICTS} cannot be read: {' '.join(str(error).split())}") from error
    counted: dict[str, list[float]] = defaultdict(list)
    goals: dict[str, str] = {}
    for group in groups:
        found = [reward for name in group.names() if (reward := rewards.get(name)) is not None]
        if found:
            counted[group.task.id] += found
            goals[group.task.id] = group.task.goal
    return {task: TaskRate(goals[task], sum(r >= 1 for r in each), len(each)) for task, each in counted.items()}
