"""Sample trajectories as MLflow traces: a span per step with its picture's reference and tokens, the verdict as assessment.

    trace tr-<hash of run, stage, trajectory>      tags: trajectory, iteration, policy_version    source run: the loop's
      task                                         goal -> stop, answer
        step 0, step 1, ..                         page, picture -> reply, action, feedback

Ids are made from content, so that spans which are sent again after a crash replace themselves; the trace's own entry has
the assessment and the mark that it is complete, in one request.
"""

import json
import logging
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.types import Step, Trajectory
from agent.verdict import Verdict
from flows.tracking.policies import experiment_of
from rollouts.measures.intervals import EPISODES, read_intervals
from storage.stages import StageReport
from storage.store import TrajectoryStore

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Feedback, Span, TraceInfo

logger = logging.getLogger(__name__)

COMPLETE = "rl_loop.complete"
"""Tag of a trace that has all its spans and its verdict."""
MOST_CHARACTERS = 10_000
"""Of a text of a model or page in a trace; the whole one is in the run folder."""
NS = 1_000_000_000


class Sample(NamedTuple):
    """A trajectory to show, with its verdict and the times of its play."""

    trajectory: Trajectory
    verdict: Verdict | None
    pictures: dict[str, str]
    """Paths of the pictures below the run folder, by sha256."""
    began: float
    """In seconds of the epoch."""

    @property
    def ended(self) -> float:
        """In seconds of the epoch."""
        return self.began + self.trajectory.seconds


def samples(directory: Path, root: Path, chosen: Iterable[Trajectory], verdicts: Mapping[str, Verdict]) -> list[Sample]:
    """The chosen trajectories of a stage's folder, in the run folder `root`.

    An episode without an interval, of an older run, ended when the folder was written last.
    """
    store, found = TrajectoryStore(directory), []
    intervals = {one.trajectory_id: one.began for one in read_intervals(directory / EPISODES)}
    for trajectory in chosen:
        shots = [shot for step in trajectory.steps if (shot := step.observation.screenshot)]
        pictures = {shot.sha256: str(store.image_path(shot.sha256).relative_to(root)) for shot in shots}
        began = intervals.get(trajectory.id) or directory.stat().st_mtime - trajectory.seconds
        found.append(Sample(trajectory, verdicts.get(trajectory.id), pictures, began))
    return found


def log_traces(client: "MlflowClient", run_id: str, key: str, report: StageReport, shown: list[Sample]) -> None:
    """Logs the trajectories that MLflow does not have yet. `key` tells this loop from others, as its tag does.

    Raises `MlflowException` when the server can't be written; a server before 3.4 has no such traces, which is a warning.
    """
    from mlflow.tracing.client import TracingClient

    tracing, experiment = TracingClient(client.tracking_uri), experiment_of(client, run_id)
    for sample in shown:
        identity = sha256(f"{key}/{report.stage}/{sample.trajectory.id}".encode()).digest()[:16]
        if _is_complete(tracing, f"tr-{identity.hex()}"):
            continue
        try:
            tracing.log_spans(experiment, list(spans(sample, identity)))
        except NotImplementedError as error:
            logger.warning("sample trajectories are not shown as traces: %s", error)
            return
        tracing.start_trace(trace_info(sample, identity, run_id, experiment, report))


def trace_info(sample: Sample, identity: bytes, run_id: str, experiment: str, report: StageReport) -> "TraceInfo":
    """The trace's own entry, with the verdict."""
    from mlflow.entities import TraceInfo, TraceLocation, TraceState
    from mlflow.tracing.constant import TraceMetadataKey, TraceTagKey

    played = sample.trajectory
    tags = {
        TraceTagKey.TRACE_NAME: played.task.domain or played.task.id,
        "trajectory": played.id,
        "stage": str(report.stage),
        "iteration": str(report.iteration),
        "policy_version": "" if played.policy_version is None else str(played.policy_version),
        COMPLETE: "true",
    }
    return TraceInfo(
        trace_id=f"tr-{identity.hex()}",
        trace_location=TraceLocation.from_experiment_id(experiment),
        request_time=int(sample.began * 1_000),
        execution_duration=int(played.seconds * 1_000),
        state=TraceState.OK if played.failure is None else TraceState.ERROR,
        request_preview=_cut(played.goal or played.task.goal, 500),
        response_preview=_cut(_ending(played), 500),
        client_request_id=played.id,
        trace_metadata={TraceMetadataKey.SOURCE_RUN: run_id, TraceMetadataKey.TOKEN_USAGE: json.dumps(_usage(played))},
        tags=tags,
        assessments=[] if sample.verdict is None else [assessment(sample.verdict)],
    )


def assessment(verdict: Verdict) -> "Feedback":
    """A verdict as MLflow's feedback; an unjudged trajectory has an error in place of a value."""
    from mlflow.entities import AssessmentSource, Feedback

    kind = {"person": "HUMAN", "rubric": "LLM_JUDGE", "panel": "LLM_JUDGE"}.get(verdict.judge, "CODE")
    metadata = {"judge": verdict.judge, "model": verdict.model, "blocked": str(verdict.blocked).lower()}
    return Feedback(
        name="reward",
        value=verdict.reward,
        error=(verdict.unjudged or "unjudged") if verdict.reward is None else None,
        source=AssessmentSource(source_type=kind, source_id=verdict.person or verdict.model or verdict.judge),
        rationale=_cut(verdict.evidence) or None,
        metadata={key: value for key, value in metadata.items() if value},
    )


def spans(sample: Sample, identity: bytes) -> "Iterator[Span]":
    """The span of the episode, then one per step."""
    played = sample.trajectory
    root = _id(identity, 0)
    about = {"group": played.group, "member": played.member, "attempt": played.attempt, "phases": played.phases}
    yield _span(
        identity,
        root,
        None,
        name=played.task.id,
        kind="AGENT",
        times=(sample.began, sample.ended),
        inputs={"goal": _cut(played.goal), "start_url": played.task.start_url},
        outputs={"stop": str(played.stop), "answer": _cut(played.answer or "")},
        problem=played.failure.message if played.failure else "",
        about=about,
    )
    now = sample.began + sum(value for name, value in played.phases.items() if name != "record")
    for number, step in enumerate(played.steps, 1):
        until = min(now + step.seconds.get("think", 0.0) + step.seconds.get("step", 0.0), sample.ended)
        yield _step_span(sample, step, identity, number, (min(now, until), until))
        now = until


def _step_span(sample: Sample, step: Step, identity: bytes, number: int, times: tuple[float, float]) -> "Span":
    page, said = step.observation, step.completion
    inputs: dict[str, Any] = {"url": _cut(page.url), "title": _cut(page.title)}
    if shot := page.screenshot:
        known = {"path": sample.pictures.get(shot.sha256, ""), "sha256": shot.sha256}
        inputs["screenshot"] = {**known, "width": shot.width, "height": shot.height}
    outputs = {
        "reply": _cut(said.text) if said else None,
        "thoughts": _cut(said.thoughts) if said else None,
        "action": step.action.model_dump(mode="json") if step.action else None,
        "effect": _cut(step.effect),
        "feedback": _cut(step.feedback),
    }
    about: dict[str, Any] = {"seconds": step.seconds}
    if said:
        about["mlflow.chat.tokenUsage"] = _tokens(said.prompt_token_ids, said.token_ids)
        about["policy_version"] = said.policy_version
        if said.logprobs:
            about["mean_logprob"] = sum(said.logprobs) / len(said.logprobs)
    return _span(
        identity,
        _id(identity, number),
        _id(identity, 0),
        name=f"step {step.index}",
        kind="LLM" if said else "TOOL",
        times=times,
        inputs=inputs,
        outputs={name: value for name, value in outputs.items() if value},
        problem="",
        about=about,
    )


def _span(
    identity: bytes,
    own: bytes,
    parent: bytes | None,
    *,
    name: str,
    kind: str,
    times: tuple[float, float],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    problem: str,
    about: dict[str, Any],
) -> "Span":
    from mlflow.entities import Span
    from mlflow.tracing.constant import SpanAttributeKey

    attributes = about | {
        SpanAttributeKey.REQUEST_ID: f"tr-{identity.hex()}",
        SpanAttributeKey.SPAN_TYPE: kind,
        SpanAttributeKey.INPUTS: inputs,
        SpanAttributeKey.OUTPUTS: outputs,
    }
    return Span.from_dict(
        {
            "trace_id": b64encode(identity).decode(),
            "span_id": b64encode(own).decode(),
            "parent_span_id": b64encode(parent).decode() if parent else None,
            "name": name,
            "start_time_unix_nano": int(times[0] * NS),
            "end_time_unix_nano": int(times[1] * NS),
            "status": {"code": "STATUS_CODE_ERROR" if problem else "STATUS_CODE_OK", "message": _cut(problem)},
            "attributes": {key: json.dumps(value, ensure_ascii=False) for key, value in attributes.items()},
        }
    )


def _is_complete(tracing: Any, trace_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return COMPLETE in tracing.get_trace_info(trace_id).tags
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
            return False
        raise


def _id(identity: bytes, number: int) -> bytes:
    return sha256(identity + number.to_bytes(4, "big")).digest()[:8]


def _tokens(prompt: tuple[int, ...], reply: tuple[int, ...]) -> dict[str, int]:
    return {"input_tokens": len(prompt), "output_tokens": len(reply), "total_tokens": len(prompt) + len(reply)}


def _usage(played: Trajectory) -> dict[str, int]:
    said = [_tokens(one.prompt_token_ids, one.token_ids) for step in played.steps if (one := step.completion)]
    return {key: sum(one[key] for one in said) for key in _tokens((), ())}


def _ending(played: Trajectory) -> str:
    return played.failure.message if played.failure else played.answer or str(played.stop)


def _cut(text: str, most: int = MOST_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
