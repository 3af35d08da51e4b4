"""The judge's questions about a record -> parts of a message. Pure; golden files in the tests hold them."""

from collections.abc import Mapping, Sequence

from agent.types import Trajectory
from judging.endpoints.protocol import Part, Picture
from judging.rubric.evidence import Evidence
from judging.rubric.fencing import Fence
from judging.rubric.record import View
from judging.rubric.wording import CLOSING, GOAL_FACT, NO_ANSWER, OPENING

GOAL_LIMIT = 4_000
FACT_LIMIT = 1_000
LINES_LIMIT = 60_000
HEAD_LIMIT = 700


def facts_of(trajectory: Trajectory) -> tuple[str, ...]:
    """The facts of the rubric. Without a rubric the goal itself is the only fact: an empty list would pass."""
    return trajectory.task.rubric or (GOAL_FACT.format(goal=trajectory.goal),)


def relevance_parts(evidence: Evidence, views: Sequence[View], fence: Fence) -> list[Part]:
    """Which of these pages matter?"""
    return _message(evidence, views, fence, facts=True, texts=False)


def support_parts(evidence: Evidence, views: Sequence[View], fence: Fence) -> list[Part]:
    """Criterion B: is the answer supported? The rubric is not shown, because it tells the expected answer."""
    return _message(evidence, views, fence, facts=False, texts=True)


def facts_parts(evidence: Evidence, views: Sequence[View], fence: Fence) -> list[Part]:
    """Criterion A: which facts are met, with the reference answer."""
    return _message(evidence, views, fence, facts=True, texts=True)


def _message(evidence: Evidence, views: Sequence[View], fence: Fence, *, facts: bool, texts: bool) -> list[Part]:
    trajectory = evidence.trajectory
    answer = NO_ANSWER if trajectory.answer is None else trajectory.answer
    head = [
        OPENING.format(marker=fence.marker),
        fence.around("task", trajectory.goal, GOAL_LIMIT),
        *(_facts(trajectory, fence) if facts else []),
        fence.around("actions, recorded by the browser", "\n".join(evidence.record.lines), LINES_LIMIT),
        fence.around("answer of the agent", answer, evidence.answer_limit),
    ]
    parts: list[Part] = ["\n\n".join(head)]
    for view in views:
        parts += page_parts(view, evidence.pictures, fence, text_limit=evidence.text_limit if texts else 0)
    return [*parts, CLOSING.format(marker=fence.marker)]


def _facts(trajectory: Trajectory, fence: Fence) -> list[str]:
    blocks = [fence.around(f"fact {number}", fact, FACT_LIMIT) for number, fact in enumerate(facts_of(trajectory), 1)]
    reference = trajectory.task.reference_answer
    return blocks if reference is None else [*blocks, fence.around("reference answer", reference, GOAL_LIMIT)]


def page_parts(view: View, pictures: Mapping[str, Picture], fence: Fence, *, text_limit: int) -> list[Part]:
    """A page as a judge sees it: title, address and text as data, then the picture. `text_limit` 0: no text."""
    seen = view.observation
    parts = [fence.around(f"{view.names()}, title and address", f"{seen.title}\n{seen.url}", HEAD_LIMIT)]
    if text_limit and seen.text:
        parts.append(fence.around(f"{view.names()}, visible text", seen.text, text_limit))
    if not view.has_picture or seen.screenshot is None:
        return ["\n".join([*parts, f"There is no picture of {view.names()}."])]
    return ["\n".join([*parts, f"The picture of {view.names()}:"]), pictures[seen.screenshot.sha256]]
