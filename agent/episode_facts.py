"""Counts of one episode: small, so that a stage of thousands of trajectories reads each once and keeps only these."""

from collections import Counter
from dataclasses import dataclass

from agent.types import Answer, Failure, Side, Step, StopReason, Trajectory
from browser_service.models import Back

SHORT = 10
"""WebGym's rule: an episode with fewer steps that did not end by itself has crashed."""


@dataclass(frozen=True, slots=True)
class EpisodeFacts:
    """Counts of one trajectory. Example: `facts_of(trajectory).steps == 7`."""

    id: str
    task: str
    domain: str
    difficulty: int
    start_url: str
    canary: bool
    """True for a task that nobody can do; it counts in no measurement of the policy."""
    stop: StopReason
    failure: Failure | None
    attempt: int
    seconds: float
    steps: int
    actions: int
    """Steps with an action."""
    answers: int
    go_backs: int
    format_errors: int
    without_effect: int
    responses: int
    characters: int
    """Characters of all responses."""
    sampled: int
    """Responses with known tokens."""
    tokens: int
    prompt_tokens: int
    truncated: int
    versions: dict[int, int]
    """Responses by the policy version that sampled them."""
    phases: dict[str, float]
    """Seconds: serve, allocate, navigate, model, act, settle, observe, transport."""

    @property
    def failed_on(self) -> Side | None:
        """The side that broke the episode, None if it did not break."""
        return self.failure.side if self.failure else None

    def has_crashed(self, *, blocked: bool) -> bool:
        """Applies WebGym's rule: no step, an output without an action, or an early end without an answer or a block.

        WebGym cannot see why an episode ended; here an end by the environment or by the step budget is no crash.
        """
        if self.stop is StopReason.BLOCKED:
            return False
        if self.steps == 0 or self.actions < self.steps:
            return True
        ended = self.stop in (StopReason.ANSWERED, StopReason.DONE, StopReason.MAX_STEPS)
        return self.steps < SHORT and not ended and not blocked


def facts_of(trajectory: Trajectory) -> EpisodeFacts:
    """The counts of a trajectory."""
    steps = trajectory.steps
    said = [step.completion for step in steps if step.completion is not None]
    sampled = [completion for completion in said if completion.token_ids]
    return EpisodeFacts(
        id=trajectory.id,
        task=trajectory.task.id,
        domain=trajectory.task.domain,
        difficulty=trajectory.task.difficulty,
        start_url=trajectory.task.start_url,
        canary=trajectory.task.canary,
        stop=trajectory.stop,
        failure=trajectory.failure,
        attempt=trajectory.attempt,
        seconds=trajectory.seconds,
        steps=len(steps),
        actions=sum(step.action is not None for step in steps),
        answers=sum(isinstance(step.action, Answer) for step in steps),
        go_backs=sum(isinstance(step.action, Back) for step in steps),
        format_errors=sum(step.is_unparsed for step in steps),
        without_effect=sum(step.action is not None and bool(step.feedback) for step in steps),
        responses=len(said),
        characters=sum(len(completion.text) for completion in said),
        sampled=len(sampled),
        tokens=sum(len(completion.token_ids) for completion in sampled),
        prompt_tokens=sum(len(completion.prompt_token_ids) for completion in sampled),
        truncated=sum(completion.finish_reason == "length" for completion in sampled),
        versions=dict(Counter(one.policy_version for one in said if one.policy_version is not None)),
        phases=_phases(trajectory),
    )


def _phases(trajectory: Trajectory) -> dict[str, float]:
    phases = Counter[str]()
    phases.update(trajectory.phases)
    for step in trajectory.steps:
        phases.update(_phases_of(step))
    return dict(phases)


def _phases_of(step: Step) -> dict[str, float]:
    """Seconds of a step by phase. The service's time outside of acting and settling is observation."""
    seconds = step.seconds
    act, settle = seconds.get("act", 0.0), seconds.get("settle", 0.0)
    total = seconds.get("total", act + settle)
    return {
        "model": seconds.get("think", 0.0),
        "act": act,
        "settle": settle,
        "observe": max(0.0, total - act - settle),
        "transport": max(0.0, seconds.get("step", total) - total),
    }
