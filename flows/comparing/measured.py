"""Success by task over a whole run, from its plans and verdicts; no trajectory is read."""

from typing import NamedTuple

from agent.types import Task
from environments.taskfiles.counting import Measured
from flows.settings.run_folder import RunFolder
from rollouts.plan import read_plan
from storage.errors import LoopError
from storage.stages import Stage
from storage.verdicts import VERDICTS, read_verdicts


class MeasuredTask(NamedTuple):
    """A task that a run has planned, and what its verdicts say."""

    task: Task
    measured: Measured


def measured_tasks(folder: RunFolder) -> dict[str, MeasuredTask]:
    """The tasks of all rollouts and evaluations so far, by id. Raises `LoopError` if a file is damaged.

    Blocked and unjudged episodes do not count; a group that was carried over counts once.
    """
    found: dict[str, MeasuredTask] = {}
    seen: set[str] = set()
    for iteration in range(folder.config.iterations + 1):
        for stage in (Stage.ROLLOUT, Stage.EVALUATE):
            rewards = _rewards(folder, iteration, Stage.JUDGE if stage is Stage.ROLLOUT else stage)
            for group in read_plan(folder, iteration, stage) or []:
                before = found.get(group.task.id, MeasuredTask(group.task, Measured(0, 0))).measured
                names = [name for name in group.names() if name in rewards and name not in seen]
                seen.update(names)
                wins = sum(rewards[name] >= 1 for name in names)
                now = Measured(before.successes + wins, before.judged + len(names))
                found[group.task.id] = MeasuredTask(group.task, now)
    return found


def _rewards(folder: RunFolder, iteration: int, stage: Stage) -> dict[str, float]:
    directory = folder.stage_dir(iteration, stage)
    if not (directory / VERDICTS).exists():
        return {}
    try:
        verdicts = read_verdicts(directory)
    except (OSError, ValueError) as error:
        raise LoopError(f"{directory / VERDICTS} cannot be read: {' '.join(str(error).split())}") from error
    return {one.trajectory_id: one.reward for one in verdicts if one.reward is not None and not one.blocked}
