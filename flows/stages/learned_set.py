"""The verdicts that a policy update learns from: those of the judge stage, or a set beside them."""

from pathlib import Path

from flows.policy.waiting import StageError
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.stages.canary_alarm import check_canaries
from flows.stages.rejudge import SETS, set_folder
from rollouts.plan import read_plan
from storage.stages import Stage, StageKey
from storage.verdicts import VERDICTS, read_verdicts


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
    """Raises `JudgeAlarm` when a judge of a set called a canary task a success; `judge.canary_alarm: warn` only logs.

    The judge stage has looked at its own verdicts, but a set is made beside it, by other judges.
    """
    # The plan names the canaries; the trajectories do too, but are a hundred times as large.
    planned = read_plan(folder, key.iteration, Stage.ROLLOUT) or []
    tasks = {name: group.task.id for group in planned if group.task.canary for name in group.names()}
    if not tasks:
        return
    try:
        verdicts = list(read_verdicts(path.parent))
    except (OSError, ValueError) as error:
        raise StageError(f"{key}: {path} can't be read: {' '.join(str(error).split())}") from error
    # No command: a fork is refused before it has a folder that a command could name.
    way_out = "with judge.canary_alarm=warn the update learns from it all the same"
    check_canaries(folder, key, verdicts, tasks, where=f" in the set of verdicts {path.parent.name}", way_out=way_out)
