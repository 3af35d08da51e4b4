"""The trajectories of one stage folder as a filtered list, and a single one as a replay."""

import json
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, get_args

from pydantic import ValidationError

from agent.types import Completion, Recorded, Step, StopReason, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation
from dashboard.store import Damaged, RunsDir
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
from storage.store import CorruptTrajectory, TrajectoryStore

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


def replay(runs: RunsDir, run: str, iteration: str, stage: str, trajectory_id: str) -> Replay:
    """Returns one trajectory with its verdict. Raises `NotFound`, `Damaged` and `storage.store.CorruptTrajectory`."""
    stage_dir = runs.stage(run, iteration, stage)
    runs.trajectory(stage_dir, trajectory_id)
    found = TrajectoryStore(stage_dir).read(trajectory_id)
    return replay_of(found, runs.verdicts(stage_dir).get(trajectory_id), runs, stage_dir, run=run, stage=stage)


def replay_of(
    found: Trajectory, verdict: Verdict | None, runs: RunsDir, stage_dir: Path, *, run: str, stage: str
) -> Replay:
    """Returns a trajectory of a folder with its verdict, as the replay page shows it."""
    *begins, end = beginnings(found)
    return Replay.model_validate(
        {
            **{name: getattr(found, name) for name in Trajectory.model_fields if name in Replay.model_fields},
            "run": run,
            "stage": stage,
            "steps": [_step(step, at) for step, at in zip(found.steps, begins, strict=True)],
            "steps_end_at": end,
            "recorded": [_recorded(runs, stage_dir / found.id, one) for one in found.recorded],
            "final_state": json.dumps(found.final_state, indent=2, ensure_ascii=False),
            "outcome": _outcome(broken=found.failure is not None, verdict=verdict),
            "verdict": verdict,
        }
    )


def beginnings(found: Trajectory) -> list[float]:
    """When each step began and the last one ended, in seconds after the recordings began. One more than there are steps.

    A step is the model's thinking and the whole call to the browser. The recordings begin before the start page is loaded.
    """
    lasted = [step.seconds.get("think", 0.0) + step.seconds.get("step", 0.0) for step in found.steps]
    return list(accumulate(lasted, initial=found.phases.get("navigate", 0.0)))


@lru_cache(maxsize=20_000)
def _unjudged_row(stage_dir: Path, trajectory_id: str, changed: int) -> TrajectoryRow:
    """Cached by the time of the last change: a trajectory is large, its row is small. Raises `CorruptTrajectory`."""
    found = TrajectoryStore(stage_dir).read(trajectory_id)
    return TrajectoryRow(
        id=found.id,
        task=found.task.id,
        domain=found.task.domain or found.task.environment,
        goal=found.goal,
        member=found.member,
        steps=len(found.steps),
        stop=found.stop,
        outcome=_outcome(broken=found.failure is not None, verdict=None),
        reward=None,
        blocked=False,
        failure=found.failure,
        answer=found.answer,
        policy_version=found.policy_version,
        attempt=found.attempt,
        seconds=found.seconds,
        picture=_last_picture([*(step.observation for step in found.steps), found.final_observation]),
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
