"""Counts tasks by difficulty, domain, template, site and split, with the success that was measured on them."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agent.types import Task
from environments.bands import band_of
from environments.taskfiles.splitting import template_of
from environments.taskfiles.table import host_of

BANDS = ("1-3", "4-6", "7-")
"""WebGym's easy, medium and hard, by the number of facts."""
FACETS = ("split", "difficulty", "domain", "template", "site", "environment")
"""Properties by which tasks are counted."""


class Measured(NamedTuple):
    """Judged episodes of a task, without the blocked ones. Example: `Measured(successes=3, judged=8)`."""

    successes: int
    judged: int


class Count(NamedTuple):
    """Tasks with one value of a property. Example: `Count(tasks=12, played=5, successes=31, judged=40)`."""

    tasks: int = 0
    played: int = 0
    """Tasks with a judged episode."""
    successes: int = 0
    judged: int = 0

    @property
    def success(self) -> float | None:
        """Share of successes among the judged episodes, 0 to 1; None without one."""
        return self.successes / self.judged if self.judged else None


class TaskCounts:
    """Counts of a stream of tasks. Texts of task files are kept as they are: print them escaped."""

    def __init__(self, measured: Mapping[str, Measured] | None = None) -> None:
        """`measured`: what was measured on tasks, by their ids."""
        self._measured = measured or {}
        self.tasks = 0
        self.canaries = 0
        self.by: dict[str, dict[str, Count]] = {facet: {} for facet in FACETS}

    def add(self, task: Task) -> None:
        """Counts one task."""
        found = self._measured.get(task.id, Measured(0, 0))
        one = Count(1, int(found.judged > 0), *found)
        self.tasks += 1
        self.canaries += task.canary
        for facet in FACETS:
            counts, value = self.by[facet], value_of(task, facet)
            counts[value] = Count(*map(sum, zip(counts.get(value, Count()), one, strict=True)))

    def add_all(self, tasks: Iterable[Task]) -> "TaskCounts":
        """Counts many tasks; returns itself."""
        for task in tasks:
            self.add(task)
        return self

    def largest(self, facet: str, most: int) -> list[tuple[str, Count]]:
        """The values with the most tasks, at most `most` of them; difficulties and splits in their own order."""
        counts = self.by[facet].items()
        if facet in ("difficulty", "split"):
            return sorted(counts)[:most]
        return sorted(counts, key=lambda item: (-item[1].tasks, item[0]))[:most]


def value_of(task: Task, facet: str) -> str:
    """A task's value of a property, "" if it has none. Example: `value_of(task, "difficulty") == "4-6"`."""
    match facet:
        case "difficulty":
            return band_of(task.difficulty, BANDS) or str(task.difficulty)
        case "template":
            return template_of(task)
        case "site":
            return host_of(task.start_url)
        case _:
            return str(getattr(task, facet))
