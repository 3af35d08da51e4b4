"""Judging again: other verdicts on the stored trajectories of finished stages, in a set beside the first.

iterations/0003/judge/sets/<name>/verdicts.jsonl    the first set is iterations/0003/judge/verdicts.jsonl

No set replaces the first one, from which the run has learned.
"""

from pathlib import Path

from environments.registry import make_environment
from flows.settings.run_folder import RunFolder
from flows.stages.judge import Judged, judge_stored
from judging.config import JudgeConfig
from storage.errors import LoopError
from storage.human_verdicts import HUMAN, latest, read_human
from storage.lock import locked
from storage.names import checked_name
from storage.stages import Stage, StageKey
from storage.store import TrajectoryStore
from storage.verdicts import VERDICTS, write_verdicts

SETS = "sets"
JUDGED = (Stage.JUDGE, Stage.EVALUATE)
"""Stages with verdicts."""


def judged_stages(folder: RunFolder, iteration: int | None = None) -> list[StageKey]:
    """The finished stages with verdicts, of one iteration or of all. Raises `LoopError` if there are none."""
    keys = [key for key in folder.schedule() if key.stage in JUDGED and folder.is_done(*key)]
    found = [key for key in keys if iteration in (None, key.iteration)]
    if not found:
        known = ", ".join(sorted({str(key.iteration) for key in keys}, key=int)) or "none yet"
        which = "" if iteration is None else f" {iteration}"
        raise LoopError(f"run {folder.name} has no judged iteration{which}; judged iterations: {known}")
    return found


def set_folder(folder: RunFolder, key: StageKey, name: str) -> Path:
    """The folder of a set of verdicts. Raises `RunNameError` for a name that is no file name."""
    return folder.stage_dir(*key) / SETS / checked_name(name, of="set")


def sets_of(folder: RunFolder) -> list[str]:
    """Names of the sets of a run."""
    found = (path for one in folder.iteration_dirs() for path in one.glob(f"*/{SETS}/*/{VERDICTS}"))
    return sorted({path.parent.name for path in found})


async def rejudge(
    folder: RunFolder,
    config: JudgeConfig,
    name: str,
    keys: list[StageKey],
    *,
    human: Path | None = None,
    with_people: bool = True,
) -> list[tuple[StageKey, Judged]]:
    """Judges the stages by the chain of `config` into the set `name`. Raises `LoopError`.

    What a judge model decided in an earlier try at the same set is not asked again. People's verdicts go first: those of
    the stage, and after them those of the file `human`; without `with_people` the judges decide on everything.
    """
    given = read_human(human) if human is not None else []
    if human is not None and not given:
        raise LoopError(f"{human}: expected people's verdicts, found none")
    check = make_environment(folder.config.environment).check
    found: list[tuple[StageKey, Judged]] = []
    for key in keys:
        rollout = Stage.ROLLOUT if key.stage is Stage.JUDGE else key.stage
        directory = set_folder(folder, key, name)
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory):
            stored = TrajectoryStore(folder.stage_dir(key.iteration, rollout))
            people = latest([*read_human(folder.stage_dir(*key) / HUMAN), *given]) if with_people else {}
            judged = await judge_stored(config, check, stored, directory, people=people)
            write_verdicts(directory, judged.verdicts)
        found.append((key, judged))
    return found
