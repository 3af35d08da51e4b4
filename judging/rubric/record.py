"""A trajectory -> the record that a judge sees: numbered pages, and the actions between them.

Page k is the page before action k, the last one is the page after the last action. The agent's thoughts and memory are
left out: they are claims, and the evidence is what the browser recorded.
"""

from collections.abc import Iterable
from typing import NamedTuple

from agent.prompting.wording import render
from agent.types import Step, Trajectory
from browser_service.models import Observation

MOST_LINES = 200
FIRST_LINES = 50
"""Lines of the begin that are kept when an episode is longer than `MOST_LINES`."""


class View(NamedTuple):
    """Pages that look the same. Example: `View(pages=(3, 4), observation=..., has_picture=True)`."""

    pages: tuple[int, ...]
    """Page numbers from 1."""
    observation: Observation
    has_picture: bool

    @property
    def is_evidence(self) -> bool:
        """True if there is anything to see."""
        return self.has_picture or bool(self.observation.text)

    def names(self) -> str:
        """Example: `pages 3, 4`."""
        return f"page{'s' if len(self.pages) > 1 else ''} {', '.join(map(str, self.pages))}"


class Record(NamedTuple):
    """The pages and actions of an episode."""

    views: tuple[View, ...]
    lines: tuple[str, ...]
    """One line per action, with texts of the agent and of the page."""
    pages: int
    """Number of pages, seen or not."""


def record_of(trajectory: Trajectory, available: Iterable[str]) -> Record:
    """The record of a trajectory. `available` are the hashes of the pictures that can be read."""
    kept = frozenset(available)
    pages: list[tuple[int, Observation]] = [
        (number, step.observation) for number, step in enumerate(trajectory.steps, 1)
    ]
    if trajectory.final_observation is not None:
        pages.append((len(pages) + 1, trajectory.final_observation))
    same: dict[tuple[str, ...], list[tuple[int, Observation]]] = {}
    for number, seen in pages:
        same.setdefault(_look(seen, kept), []).append((number, seen))
    views = tuple(
        View(tuple(number for number, _ in each), each[-1][1], _picture(each[-1][1]) in kept) for each in same.values()
    )
    return Record(views, tuple(_lines(trajectory.steps)), len(pages))


def index_of(page: int) -> int:
    """The step's index in the trajectory for a page's number."""
    return page - 1


def shown_pages(views: Iterable[View]) -> frozenset[int]:
    """Numbers of the pages in these views."""
    return frozenset(page for view in views for page in view.pages)


def _picture(seen: Observation) -> str:
    return seen.screenshot.sha256 if seen.screenshot else ""


def _look(seen: Observation, kept: frozenset[str]) -> tuple[str, ...]:
    """Equal for pages that a judge could not tell apart."""
    return (_picture(seen) if _picture(seen) in kept else "", seen.url, seen.title, seen.text or "")


def _lines(steps: tuple[Step, ...]) -> list[str]:
    lines = [_line(number, step) for number, step in enumerate(steps, 1)]
    if len(lines) <= MOST_LINES:
        return lines
    last = MOST_LINES - FIRST_LINES
    return [*lines[:FIRST_LINES], f"({len(lines) - MOST_LINES} actions are left out)", *lines[-last:]]


def _line(number: int, step: Step) -> str:
    """Example: `page 2, "Shop" at http://shop/: click(3) -> appeared: "ok" button`."""
    observation = step.observation
    done = render(step.action) if step.action is not None else "no action"
    result = f"failed: {step.feedback}" if step.feedback else step.effect or "done"
    title = " ".join(observation.title.split()).replace('"', "'")[:120]
    return (
        f'page {number}, "{title}" at {observation.url[:300]}: {" ".join(done.split())[:300]} -> '
        + (" ".join(result.split())[:200])
    )
