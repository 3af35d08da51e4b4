"""Splits tasks into training and evaluation: by task, by template or by site; seeded, and disjoint.

Whole units are assigned, never parts of them. The order of the units is that of a hash of seed and name, so that an
added task changes the side of few others.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

from agent.types import Task
from environments.taskfiles.table import host_of

By = Literal["task", "template", "site"]
"""The unit that is never divided between training and evaluation.

`task`: tasks with the same goal at the same address are one unit, whatever their ids. `template`: the label `template` if
a task has it, otherwise its domain, which is the family of a generated task. `site`: the host of the start address.
"""


class CannotSplit(ValueError):
    """The tasks can't be split as asked for. The message is one sentence."""


def template_of(task: Task) -> str:
    """The template of a task: its label `template`, otherwise its domain; "" if it has neither."""
    return task.labels.get("template") or task.domain


def unit_of(task: Task, by: By) -> str:
    """The name of a task's unit. Raises `CannotSplit` for a task that has none."""
    match by:
        case "task":
            # A goal without an address, or the other way round, is less than a task: the id tells them apart.
            return f"{task.start_url}\n{task.goal}" if task.goal and task.start_url else task.id
        case "template":
            name = template_of(task)
        case "site":
            name = host_of(task.start_url)
    if not name:
        lacks = "neither a label template nor a domain" if by == "template" else "no start_url"
        raise CannotSplit(f"task {task.id} has {lacks}; split by task")
    return name


def count_units(tasks: Iterable[Task], by: By) -> dict[str, int]:
    """Number of tasks of each unit. Raises `CannotSplit`."""
    counts: dict[str, int] = {}
    for task in tasks:
        unit = unit_of(task, by)
        counts[unit] = counts.get(unit, 0) + 1
    return counts


def heldout_units(counts: Mapping[str, int], *, share: float, seed: int) -> frozenset[str]:
    """The units for evaluation: about `share` of the tasks, at least one unit, and never all of them.

    A unit that would miss the share by more than it is missed without it is left to training. Raises `CannotSplit` when
    there are fewer than two units.
    """
    if len(counts) < 2:
        raise CannotSplit(f"expected two units or more to split, found {len(counts)}; split by a smaller unit")
    order = sorted(counts, key=lambda unit: hashlib.sha256(f"{seed}\n{unit}".encode()).digest())
    wanted, taken, chosen = share * sum(counts.values()), 0, list[str]()
    for unit in order:
        if taken + counts[unit] - wanted <= wanted - taken and len(chosen) < len(counts) - 1:
            chosen.append(unit)
            taken += counts[unit]
    return frozenset(chosen or [min(order, key=lambda unit: counts[unit])])


def with_split(task: Task, heldout: frozenset[str], by: By) -> Task:
    """The task with the split of its unit."""
    return task.model_copy(update={"split": "heldout" if unit_of(task, by) in heldout else "train"})
