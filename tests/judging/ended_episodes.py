"""Finished episodes without a browser, for the tests of judges."""

from typing import Any

from agent.types import Failure, StopReason, Task, Trajectory
from browser_service.models import Observation, Viewport

PAGE = Observation(url="https://shop.example/cart?id=7", title="Your cart", viewport=Viewport(), text="2 items, 42 EUR")


def task(expect: dict[str, Any] | None = None, reference: str | None = None) -> Task:
    return Task(id="t1", environment="live", expect=expect, reference_answer=reference)


def ended(
    of: Task,
    answer: str | None = None,
    *,
    stop: StopReason = StopReason.ANSWERED,
    page: Observation | None = PAGE,
    state: dict[str, Any] | None = None,
    failure: Failure | None = None,
) -> Trajectory:
    return Trajectory(
        id="e1",
        task=of,
        goal="Go.",
        group="g",
        member=0,
        iteration=1,
        steps=(),
        stop=stop,
        final_observation=page,
        answer=answer,
        final_state=state or {},
        failure=failure,
    )
