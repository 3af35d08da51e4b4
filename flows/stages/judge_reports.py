"""Reports about the judges of a run: which verdicts are compared with which, and where their evidence lies."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from agent.verdict import Verdict
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.stages.rejudge import judged_stages, set_folder, sets_of
from judging.meta.opinions import VERIFIER, by_judge, verdicts_of
from judging.meta.report import JudgeReport, Place, PlacesOf, report_of
from storage.errors import LoopError
from storage.stages import Stage, StageKey
from storage.store import CorruptTrajectory, TrajectoryStore
from storage.verdicts import VERDICTS, read_verdict_lines, read_verdicts

FIRST = "the run's own verdicts"
MOST_PLACES = 5
"""Largest number of steps that are named for a disagreement."""


class Question(NamedTuple):
    """The verdicts to compare. None: the default of `reports_of`."""

    name: str | None = None
    """The set of verdicts that is measured; None: the first set."""
    judge: str | None = None
    """The judge of the chain that is measured; None: the chain's decision, or all but the reference."""
    against: str | None = None
    """The judge of the same chain that is the reference."""
    reference: Path | None = None
    """File with the reference, such as a person's verdicts."""


def reports_of(
    folder: RunFolder, asked: Question, *, iteration: int | None = None, dashboard: str = ""
) -> list[JudgeReport]:
    """The reports about a run's judges. Raises `LoopError` where there is nothing to compare.

    The reference is a file, else the judge `against` of the same verdicts, else, for a set beside the first, the first
    set; without any of these the verifier of the same verdicts.
    """
    stages = judged_stages(folder, iteration)
    judged, first, where = _read(folder, stages, asked.name)
    places = places_of({name: _store(folder, key) for name, key in where.items()}, _links(folder, where, dashboard))
    said = verdicts_of(judged, asked.judge) if asked.judge else judged
    title = asked.judge or (f"set {asked.name}" if asked.name else FIRST)
    if asked.judge and not said:
        raise LoopError(f"no verdict has an opinion of the judge {asked.judge}; judges: {', '.join(by_judge(judged))}")
    if asked.reference is not None:
        return [compared(_lines(asked.reference), said, title, str(asked.reference), places)]
    if asked.against is None and asked.name is not None:
        return [compared(first, said, title, FIRST, places)]
    return _within(judged, asked.judge, asked.against or VERIFIER, places, folder)


def compared(
    reference: Sequence[Verdict], judged: Sequence[Verdict], judge: str, against: str, places: PlacesOf
) -> JudgeReport:
    """One report. Raises `LoopError` if no trajectory has a reward on both sides."""
    report = report_of(reference, judged, judge=judge, against=against, places=places)
    if not report.decided:
        raise LoopError("no trajectory has a reward on both sides, so there is nothing to compare")
    return report


def places_of(stores: Mapping[str, TrajectoryStore], links: Callable[[str, int], str]) -> PlacesOf:
    """Finds the steps of a verdict: those that it names as evidence, else the last page. `stores` by trajectory id."""

    def find(verdict: Verdict) -> tuple[Place, ...]:
        try:
            trajectory = stores[verdict.trajectory_id].read(verdict.trajectory_id)
        except (CorruptTrajectory, FileNotFoundError, KeyError):
            return ()
        pages = [*(step.observation for step in trajectory.steps), trajectory.final_observation]
        known = [step for step in verdict.evidence_steps if 0 <= step < len(pages)]
        last = max((number for number, seen in enumerate(pages) if seen is not None), default=0)
        found: list[Place] = []
        for step in (known or [last])[:MOST_PLACES]:
            seen = pages[step]
            shot = seen.screenshot if seen else None
            path = str(stores[verdict.trajectory_id].image_path(shot.sha256)) if shot else ""
            found.append(Place(step=step, screenshot=path, link=links(verdict.trajectory_id, step)))
        return tuple(found)

    return find


def link_to(dashboard: str, run: str, key: StageKey, trajectory_id: str, step: int) -> str:
    """Address of a step in the dashboard, as its page reads it. Example: `http://127.0.0.1:8100/#/run/demo/3/rollout/i0003-..?step=2`."""
    parts = (run, str(key.iteration), str(_played(key.stage)), trajectory_id)
    return f"{dashboard.rstrip('/')}/#/run/{'/'.join(quote(part, safe='') for part in parts)}?step={step}"


def _within(
    judged: Sequence[Verdict], judge: str | None, against: str, places: PlacesOf, folder: RunFolder
) -> list[JudgeReport]:
    """Compares the judges of one chain with each other, where several were asked."""
    known = by_judge(judged)
    others = [judge] if judge else [name for name in known if name != against]
    reference = verdicts_of(judged, against)
    reports = [
        report_of(reference, verdicts_of(judged, name), judge=name, against=against, places=places) for name in others
    ]
    found = [report for report in reports if report.decided]
    if not found:
        again = on_run("rejudge", folder.root, "--set", "again")
        raise LoopError(
            f"no trajectory was decided by {against} and by another judge (judges: {', '.join(known) or 'none'}); "
            f"--reference compares with a file; {again} judges again by another chain, judge.ask_all=true by all of it"
        )
    return found


def _read(
    folder: RunFolder, stages: Sequence[StageKey], name: str | None
) -> tuple[list[Verdict], list[Verdict], dict[str, StageKey]]:
    """The verdicts of a set, the first ones of the same stages, and the stage of each trajectory."""
    judged: list[Verdict] = []
    first: list[Verdict] = []
    where: dict[str, StageKey] = {}
    for key in stages:
        directory = folder.stage_dir(*key) if name is None else set_folder(folder, key, name)
        if (directory / VERDICTS).exists():
            found = read_verdicts(directory)
            judged += found
            first += read_verdicts(folder.stage_dir(*key))
            where |= {verdict.trajectory_id: key for verdict in found}
    if not judged:
        known = ", ".join(sets_of(folder)) or "none"
        again = on_run("rejudge", folder.root, "--set", name or "again")
        raise LoopError(f"run {folder.name} has no verdicts of the set {name} there; sets: {known}; {again} makes one")
    return judged, first, where


def _store(folder: RunFolder, key: StageKey) -> TrajectoryStore:
    return TrajectoryStore(folder.stage_dir(key.iteration, _played(key.stage)))


def _played(stage: Stage) -> Stage:
    """The stage that stored the trajectories."""
    return Stage.ROLLOUT if stage is Stage.JUDGE else stage


def _links(folder: RunFolder, where: Mapping[str, StageKey], dashboard: str) -> Callable[[str, int], str]:
    def link(trajectory_id: str, step: int) -> str:
        return link_to(dashboard, folder.name, where[trajectory_id], trajectory_id, step) if dashboard else ""

    return link


def _lines(path: Path) -> list[Verdict]:
    try:
        return read_verdict_lines(path)
    except ValueError as error:
        raise LoopError(str(error)) from error
