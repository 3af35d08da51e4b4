"""`rl-loop doctor RUN`: checks that a run folder is intact; reports finished stages, the next stage and the writer."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import dropwhile
from pathlib import Path

from flows.policy.placeholder_check import placeholders
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.starting.preflight import Finding
from rollouts.plan import read_carried, read_plan
from storage.errors import LoopError
from storage.human_verdicts import HUMAN, latest, read_human
from storage.stages import Stage, StageKey
from storage.store import TrajectoryStore
from storage.store_check import HARMLESS, Problem, check_store
from storage.verdicts import VERDICTS, read_verdicts
from training.checkpointing.checkpoints import CheckpointError, checkpoint_path, read_checkpoint, versions

SHOWN = 10
"""Problems that one check lists; the rest are only counted."""
JUDGE_AGAIN = "delete it and the done.json beside it, and resume: the stage judges again"


def findings(root: Path) -> list[Finding]:
    """The result of every check. Raises `RunFolderError` if there is no such run or its configuration is unreadable."""
    folder = RunFolder.open(root)
    return [_find(name, check, folder) for name, check in CHECKS.items()]


def progress(folder: RunFolder) -> str:
    """The number of finished stages and the next one."""
    total = list(folder.schedule())
    done = sum(folder.is_done(*key) for key in total)
    following = folder.next_stage()
    return f"{done} of {len(total)} stages finished; " + (f"next: {following}" if following else "nothing left to do")


def order(folder: RunFolder) -> str:
    """Checks that no stage is finished before the stage that it depends on."""
    following = folder.next_stage()
    after = list(dropwhile(lambda key: key != following, folder.schedule()))
    late = [key for key in after if folder.is_done(*key)]
    if late:
        raise LoopError(f"{late[0]} is finished although {following} is not; was a done.json deleted?")
    return "stages are finished in their order"


def reports(folder: RunFolder) -> str:
    """Checks that every done.json can be read."""
    return f"{len(folder.reports())} reports can be read"


def writer(folder: RunFolder) -> str:
    """The process that writes the folder now."""
    pid = folder.writer()
    return f"process {pid} is writing it" if pid is not None else "no process is writing it"


def policies(folder: RunFolder) -> str:
    """Checks that every checkpoint is complete and matches its digests."""
    known = versions(folder.policies)
    for version in known:
        try:
            read_checkpoint(checkpoint_path(folder.policies, version))
        except CheckpointError as error:
            raise LoopError(str(error)) from error
    return f"versions {', '.join(map(str, known)) or 'none'}: all files match their digests"


def trajectories(folder: RunFolder) -> str:
    """Checks that trajectories and pictures are readable and stored once, and that finished stages miss none."""
    checked = [check_store(directory) for directory in _stores(folder)]
    found = [problem for each in checked for problem in each.problems]
    problems = [problem.text for problem in found if problem.kind not in HARMLESS]
    problems += [problem for key in folder.schedule() for problem in _against_plan(folder, key)]
    if problems:
        more = f" (and {len(problems) - SHOWN} more problems)" if len(problems) > SHOWN else ""
        raise LoopError("\n".join(problems[:SHOWN]) + more)
    count, pictures = sum(each.trajectories for each in checked), sum(each.pictures for each in checked)
    return f"{count} trajectories and their {pictures} pictures can be read{_leftovers(folder, found)}"


def _leftovers(folder: RunFolder, found: list[Problem]) -> str:
    """End of the sentence: the unneeded files that crashes left behind."""
    counts = Counter(problem.kind for problem in found)
    what = ", ".join(f"{counts[kind]} {words}" for kind, words in HARMLESS.items() if counts[kind])
    return f"; left over: {what}; {on_run('compact', folder.root)} removes those of finished stages" if what else ""


def verdicts(folder: RunFolder) -> str:
    """Checks that every trajectory of a finished stage has exactly one verdict, and that people's can be read."""
    count = by_people = 0
    for key in folder.schedule():
        episodes = Stage.EVALUATE if key.stage is Stage.EVALUATE else Stage.ROLLOUT
        if key.stage not in (Stage.JUDGE, Stage.EVALUATE) or not folder.is_done(*key):
            continue
        directory = folder.stage_dir(*key)
        try:
            named = Counter(verdict.trajectory_id for verdict in read_verdicts(directory))
            there = TrajectoryStore(folder.stage_dir(key.iteration, episodes)).ids()
        except (OSError, ValueError) as error:
            raise LoopError(f"{directory}: {' '.join(str(error).split())}; {JUDGE_AGAIN}") from error
        if named != Counter(there):
            raise LoopError(
                f"{directory / VERDICTS} has verdicts on {sorted(named)[:2]}.. ({named.total()}), not one on each of the "
                f"{len(there)} trajectories; {JUDGE_AGAIN}"
            )
        people = latest(read_human(directory / HUMAN))
        if unknown := sorted(set(people) - set(there)):
            raise LoopError(
                f"{directory / HUMAN} decides about {unknown[0]}, which the stage does not have; remove the line"
            )
        count, by_people = count + named.total(), by_people + len(people)
    people_part = f"; people decided about {by_people}" if by_people else ""
    return f"{count} verdicts, one per trajectory of each judged stage{people_part}"


def _stores(folder: RunFolder) -> list[Path]:
    return [
        path
        for one in folder.iteration_dirs()
        for path in sorted(one.glob("*"))
        if path.name in (Stage.ROLLOUT, Stage.EVALUATE)
    ]


def _against_plan(folder: RunFolder, key: StageKey) -> Iterator[str]:
    """Sentences about trajectories of a finished stage that its plan has and the store lacks, or the reverse."""
    if key.stage not in (Stage.ROLLOUT, Stage.EVALUATE) or not folder.is_done(*key):
        return
    groups = read_plan(folder, *key)
    if groups is None:
        return
    directory = folder.stage_dir(*key)
    carried = read_carried(folder, key.iteration) if key.stage is Stage.ROLLOUT else []
    left = {group.group for group in carried}
    wanted = {name for group in groups if group.group not in left for name in group.names()}
    there = set(TrajectoryStore(directory).ids())
    for name in sorted(wanted - there):
        yield f"{directory / name} is missing although the stage is finished; delete its done.json and those after it, and resume"
    for name in sorted(there - wanted):
        yield f"{directory / name} was never planned; delete this folder"


CHECKS: dict[str, Callable[[RunFolder], str]] = {
    "progress": progress,
    "order": order,
    "reports": reports,
    "writer": writer,
    "policies": policies,
    "trajectories": trajectories,
    "placeholders": placeholders,
    "verdicts": verdicts,
}


def _find(name: str, check: Callable[[RunFolder], str], folder: RunFolder) -> Finding:
    try:
        return Finding(name, True, check(folder))
    except LoopError as error:
        return Finding(name, False, str(error))
