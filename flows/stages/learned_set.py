"""The verdicts that a policy update learns from: those of the judge stage, or a set beside them."""

import logging
from pathlib import Path

from flows.policy.waiting import StageError
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.stages.judge import JudgeAlarm
from flows.stages.rejudge import SETS, set_folder
from judging.meta.canary_tasks import believed
from rollouts.plan import read_plan
from storage.stages import Stage, StageKey
from storage.verdicts import VERDICTS, read_verdicts

logger = logging.getLogger(__name__)


def verdicts_to_learn(folder: RunFolder, iteration: int) -> Path:
    """The file of the verdicts that `update.verdict_set` names, in an iteration whose judge stage is finished.

    Raises `StageError` that names the sets of the iteration if it has no such set, and `JudgeAlarm` if a judge of the set
    called a canary task a success, unless `judge.canary_alarm` is `warn`.
    """
    key, name = StageKey(iteration, Stage.JUDGE), folder.config.update.verdict_set
    if name is None:
        return folder.stage_dir(*key) / VERDICTS
    path = set_folder(folder, key, name) / VERDICTS
    if not path.exists():
        known = ", ".join(sorted(one.parent.name for one in (folder.stage_dir(*key) / SETS).glob(f"*/{VERDICTS}")))
        again = on_run("rejudge", folder.root, "--set", name, "--iteration", str(iteration))
        raise StageError(
            f"iteration {iteration} has no set of verdicts {name} to learn from (update.verdict_set); its sets: "
            f"{known or 'none'}; {again} makes one, with the settings of its judges"
        )
    _check_canaries(folder, key, path)
    return path


def _check_canaries(folder: RunFolder, key: StageKey, path: Path) -> None:
    """Raises `JudgeAlarm` when a judge of a set believed in a canary; `judge.canary_alarm: warn` only logs.

    The judge stage has looked at its own verdicts, but a set is made beside it, by other judges.
    """
    # The plan names the canaries; the trajectories do too, but are a hundred times as large.
    planned = read_plan(folder, key.iteration, Stage.ROLLOUT) or []
    tasks = {name: group.task.id for group in planned if group.task.canary for name in group.names()}
    if not tasks:
        return
    try:
        found = believed(one for one in read_verdicts(path.parent) if one.trajectory_id in tasks)
    except (OSError, ValueError) as error:
        raise StageError(f"{key}: {path} can't be read: {' '.join(str(error).split())}") from error
    if not found:
        return
    first = found[0]
    more = f" (and {len(found) - 1} more such verdicts)" if len(found) > 1 else ""
    sentence = (
        f"{key}: the judge {first.judge} called the canary task {tasks[first.trajectory_id]} a success in the set of verdicts "
        f"{path.parent.name}, trajectory {first.trajectory_id}{more}; nobody can do that task, so the set can't be trusted"
    )
    if folder.config.judge.canary_alarm == "warn":
        logger.warning("%s", sentence)
        return
    # No command: a fork is refused before it has a folder that a command could name.
    raise JudgeAlarm(
        f"{sentence}: look at its evidence, and mend the judge; with judge.canary_alarm=warn the update learns from it all the same"
    )
