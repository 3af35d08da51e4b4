"""The spans of an episode and of its steps: ids, kinds and codes, never a goal, a page or a reply."""

from typing import Protocol

from agent.types import Step, Task, Trajectory
from telemetry.attributes import EPISODE
from telemetry.spans import Span, span


class Key(Protocol):
    """The part of an `EpisodeKey` that its span needs."""

    @property
    def task(self) -> Task: ...
    @property
    def trajectory_id(self) -> str: ...
    @property
    def group(self) -> str: ...


def episode_span(key: Key, policy_version: int | None) -> Span:
    """The span of one attempt at an episode, an agent's invocation in OpenTelemetry's conventions."""
    return span(
        EPISODE,
        operation="invoke_agent",
        conversation=key.trajectory_id,
        trajectory=key.trajectory_id,
        task=key.task.id,
        group=key.group,
        policy_version=policy_version,
    )


def note_end(traced: Span, trajectory: Trajectory) -> None:
    """Sets the end of an episode on its span; an episode that broke is failed by its side and code."""
    traced.set(stop=trajectory.stop.value, steps=len(trajectory.steps))
    if trajectory.failure is not None:
        traced.fail(trajectory.failure.code, trajectory.failure.side)


def note_step(traced: Span, step: Step) -> None:
    """Sets the action of a step on its span; a reply without one is the policy's fault."""
    traced.set(action=step.action.kind if step.action is not None else None)
    if step.action is None:
        traced.fail("NO_ACTION", "policy")
