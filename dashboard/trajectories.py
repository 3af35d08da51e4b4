"""The trajectories of one stage folder as a filtered list, and a single one as a replay."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, get_args

from pydantic import ValidationError

from agent.types import Completion, Recorded, Step, StopReason, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation
from dashboard.store import Damaged, RunsDir
from dashboard.stored import Stored, bare_page, open_stored
from dashboard.views import (
    BrokenAttempt,
    Choices,
    CompletionView,
    Outcome,
    RecordedView,
    Replay,
    StepView,
    TrajectoryList,
    TrajectoryRow,
)
from storage.store import CorruptTrajectory

MOST_WHOLE = 100
"""Steps of a replay that are shown with their marks and texts, however few are looked at."""
BESIDE = 25
"""Of a longer one: steps before and after the one that is looked at."""
BROKEN_ATTEMPTS = 200
"""Largest number of broken attempts in the list, the newest ones."""


class Filter(NamedTuple):
    """Filter for trajectories; None accepts all."""

    outcome: Outcome | None = None
    stop: StopReason | None = None
    domain: str | None = None

    def accepts(self, row: TrajectoryRow) -> bool:
        """True if a row passes the filter."""
        return (
            self.outcome in (None, row.outcome) and self.stop in (None, row.stop) and self.domain in (None, row.domain)
        )


def list_trajectories(runs: RunsDir, run: str, iteration: str, stage: str, wanted: Filter) -> TrajectoryList:
    """Returns the rows that pass the filter, in the order of their ids. Raises `dashboard.store.NotFound`.

    A trajectory that can't be read is listed in `problems` and does not hide the others.
    """
    stage_dir = runs.stage(run, iteration, stage)
    problems: list[str] = []
    try:
        verdicts = runs.verdicts(stage_dir)
    except Damaged as error:
        verdicts = {}
        problems.append(str(error))
    rows: list[TrajectoryRow] = []
    for trajectory_id in runs.trajectory_ids(stage_dir):
        path = runs.trajectory(stage_dir, trajectory_id)
        try:
            row = _unjudged_row(stage_dir, trajectory_id, path.stat().st_mtime_ns)
        except CorruptTrajectory as error:
            problems.append(str(error).replace(f"{runs.root}/", ""))
            continue
        rows.append(_with_verdict(row, verdicts.get(trajectory_id)))
    return TrajectoryList.model_validate(
        {
            "run": run,
            "iteration": int(iteration),
            "stage": stage,
            "total": len(rows),
            "rows": [row for row in rows if wanted.accepts(row)],
            "choices": _choices(rows),
            "broken_attempts": _broken_attempts(runs, stage_dir / "failures.jsonl"),
            "problems": problems,
        }
    )


def replay(
    runs: RunsDir, run: str, iteration: str, stage: str, trajectory_id: str, around: int | None = None
) -> Replay:
    """Returns one trajectory with its verdict. Raises `NotFound`, `Damaged` and `storage.store.CorruptTrajectory`."""
    stage_dir = runs.stage(run, iteration, stage)
    runs.trajectory(stage_dir, trajectory_id)
    found = open_stored(stage_dir, trajectory_id)
    verdict = runs.verdicts(stage_dir).get(trajectory_id)
    return replay_of(found, verdict, runs, stage_dir, run=run, stage=stage, around=around)


def replay_of(
    found: Stored,
    verdict: Verdict | None,
    runs: RunsDir,
    stage_dir: Path,
    *,
    run: str,
    stage: str,
    around: int | None = None,
) -> Replay:
    """Returns a trajectory of a folder with its verdict, as the replay page shows it.

    With `around`, a long one has the marks and texts of the steps beside that index only; `steps_between` returns others.
    """
    head = found.head
    views = [
        view if around is None or found.count <= MOST_WHOLE or abs(view.index - around) <= BESIDE else folded(view)
        for view in _views(found)
    ]
    return Replay.model_validate(
        {
            **{name: getattr(head, name) for name in Trajectory.model_fields if name in Replay.model_fields},
            "run": run,
            "stage": stage,
            "steps": views,
            "steps_end_at": views[-1].begins_at + _lasted(views[-1].seconds) if views else _opened(head),
            "recorded": [_recorded(runs, stage_dir / head.id, one) for one in head.recorded],
            "final_state": json.dumps(head.final_state, indent=2, ensure_ascii=False),
            "outcome": _outcome(broken=head.failure is not None, verdict=verdict),
            "verdict": verdict,
        }
    )


def steps_between(found: Stored, first: int, count: int) -> list[StepView]:
    """Returns the steps from an index on, at most `count`, with their marks and texts."""
    return [view for view in islice(_views(found), first + count) if view.index >= first]


def folded(view: StepView) -> StepView:
    """A step without the marks and texts of its page."""
    return view.model_copy(update={"observation": bare_page(view.observation), "folded": True})


def _views(found: Stored) -> Iterator[StepView]:
    """Each step with when it began, in seconds after the recordings began.

    A step is the model's thinking and the whole call to the browser. The recordings begin before the start page is loaded.
    """
    at = _opened(found.head)
    for step in found.steps():
        yield _step(step, at)
        at += _lasted(step.seconds)


def _opened(head: Trajectory) -> float:
    return head.phases.get("navigate", 0.0)


def _lasted(seconds: dict[str, float]) -> float:
    return seconds.get("think", 0.0) + seconds.get("step", 0.0)


@lru_cache(maxsize=20_000)
def _unjudged_row(stage_dir: Path, trajectory_id: str, changed: int) -> TrajectoryRow:
    """Cached by the time of the last change: a trajectory is large, its row is small. Raises `CorruptTrajectory`."""
    stored = open_stored(stage_dir, trajectory_id)
    found = stored.head
    return TrajectoryRow(
        id=found.id,
        task=found.task.id,
        domain=found.task.domain or found.task.environment,
        goal=found.goal,
        member=found.member,
        steps=stored.count,
        stop=found.stop,
        outcome=_outcome(broken=found.failure is not None, verdict=None),
        reward=None,
        blocked=False,
        failure=found.failure,
        answer=found.answer,
        policy_version=found.policy_version,
        attempt=found.attempt,
        seconds=found.seconds,
        picture=_last_picture([*(step.observation for step in stored.steps()), found.final_observation]),
    )


def _with_verdict(row: TrajectoryRow, verdict: Verdict | None) -> TrajectoryRow:
    if verdict is None:
        return row
    outcome = _outcome(broken=row.failure is not None, verdict=verdict)
    return row.model_copy(update={"outcome": outcome, "reward": verdict.reward, "blocked": verdict.blocked})


def _outcome(*, broken: bool, verdict: Verdict | None) -> Outcome:
    """Outcome of an episode: a verdict counts even after a failure; without a verdict, a failed episode is `broken`."""
    if verdict is not None and verdict.reward is not None:
        return "success" if verdict.reward >= 1 else "fail"
    return "broken" if broken else "unjudged"


def _choices(rows: list[TrajectoryRow]) -> Choices:
    outcomes = Counter(row.outcome for row in rows)
    return Choices(
        outcome={name: outcomes[name] for name in get_args(Outcome)},
        stop={stop: count for stop, count in sorted(Counter(row.stop.value for row in rows).items())},
        domain=dict(sorted(Counter(row.domain for row in rows).items())),
    )


def _broken_attempts(runs: RunsDir, path: Path) -> list[BrokenAttempt]:
    """The newest lines of a failures.jsonl, newest first; an incomplete line is left out."""
    if not runs.has(path):
        return []
    found: list[BrokenAttempt] = []
    for line in reversed(path.read_bytes().splitlines()[-BROKEN_ATTEMPTS:]):
        try:
            found.append(BrokenAttempt.model_validate_json(line))
        except ValidationError:
            continue
    return found


def _step(step: Step, begins_at: float) -> StepView:
    return StepView(
        index=step.index,
        observation=step.observation,
        completion=_completion(step.completion) if step.completion else None,
        action=step.action,
        feedback=step.feedback,
        seconds=step.seconds,
        begins_at=begins_at,
    )


def _recorded(runs: RunsDir, folder: Path, one: Recorded) -> RecordedView:
    is_there = bool(one.file) and runs.has(folder / one.file)
    problem = one.problem or ("" if is_there else "it was removed, by the rule `failures` of `agent.record` or by hand")
    return RecordedView(kind=one.kind, file=one.file if is_there else "", size=one.size, problem=problem)


def _completion(completion: Completion) -> CompletionView:
    return CompletionView(
        text=completion.text,
        prompt_tokens=len(completion.prompt_token_ids),
        tokens=len(completion.token_ids),
        logprob_mean=fmean(completion.logprobs) if completion.logprobs else None,
        finish_reason=completion.finish_reason,
        policy_version=completion.policy_version,
        temperature=completion.temperature,
        images=completion.images,
    )


def _last_picture(observations: Iterable[Observation | None]) -> str | None:
    pictures = [seen.screenshot.sha256 for seen in observations if seen is not None and seen.screenshot is not None]
    return pictures[-1] if pictures else None
