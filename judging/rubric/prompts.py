"""The judge's questions about a record -> parts of a message. Pure; golden files in the tests hold them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.types import Trajectory
from judging.endpoints.protocol import Part, Picture
from judging.rubric.fencing import Fence
from judging.rubric.record import Record, View
from judging.rubric.wording import CLOSING, GOAL_FACT, NO_ANSWER, OPENING

GOAL_LIMIT = 4_000
FACT_LIMIT = 1_000
LINES_LIMIT = 60_000
HEAD_LIMIT = 700


class Evidence(NamedTuple):
    """The evidence of a question: the episode, its record, and the pictures that can be read."""

    trajectory: Trajectory
    record: Record
    pictures: Mapping[str, Picture]
    """By sha256."""
    answer_limit: int
    """Largest number of characters of the answer; a longer one is cut."""
    text_limit: int
    """Largest number of characters of a page's text."""


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
        parts += _page(evidence, view, fence, texts=texts)
    return [*parts, CLOSING.format(marker=fence.marker)]


def _facts(trajectory: Trajectory, fence: Fence) -> list[str]:
    told = [fence.around(f"fact {number}", fact, FACT_LIMIT) for number, fact in enumerate(facts_of(trajectory), 1)]
    reference = trajectory.task.reference_answer
    return told if reference is None else [*told, fence.around("reference answer", reference, GOAL_LIMIT)]


def _page(evidence: Evidence, view: View, fence: Fence, *, texts: bool) -> list[Part]:
    seen = view.observation
    told = [fence.around(f"{view.names()}, title and address", f"{seen.title}\n{seen.url}", HEAD_LIMIT)]
    if texts and seen.text:
        told.append(fence.around(f"{view.names()}, visible text", seen.text, evidence.text_limit))
    if not view.has_picture or seen.screenshot is None:
        return ["\n".join([*told, f"There is no picture of {view.names()}."])]
    return ["\n".join([*told, f"The picture of {view.names()}:"]), evidence.pictures[seen.screenshot.sha256]]
