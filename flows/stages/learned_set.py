"""The verdicts that a policy update learns from: those of the judge stage, or a set beside them."""

from pathlib import Path

from flows.policy.waiting import StageError
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.stages.rejudge import SETS, set_folder
from storage.stages import Stage, StageKey
from storage.verdicts import VERDICTS


def verdicts_to_learn(folder: RunFolder, iteration: int) -> Path:
    """The file of the verdicts that `update.verdict_set` names, in an iteration whose judge stage is finished.

    Raises `StageError` that names the sets of the iteration if it has no such set.
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
    return path
