"""Sampled tasks -> groups of one episode each, in the original's order: hard tasks first, so that none is left to the end."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from agent.types import Split, Task
from environments.horizons import HorizonConfig, with_horizon
from environments.taskfiles.fields import BadRow
from environments.taskfiles.webgym import from_webgym
from rollouts.async_webgym.settings import field_of, horizon_of
from rollouts.plan import Group

STEPS = 100
"""Step budget without `env_config`, as the original's monitor assumes."""


class Sampled(NamedTuple):
    """One row of the sampled tasks."""

    index: int
    """Its place in the rows: WebGym's `trajectory_index`."""
    group: Group


def sampled(rows: object, *, split: Split, env_config: object, iteration: int) -> list[Sampled]:
    """The groups of the rows: a list of WebGym's rows, or a table of pandas. Raises ValueError naming the row."""
    horizon = horizon_from(env_config)
    seen: dict[str, int] = {}
    found = []
    for index, row in enumerate(rows_of(rows)):
        try:
            task = from_webgym(row, environment="live", split=split, max_steps=STEPS)
        except BadRow as error:
            raise ValueError(f"sampled task {index}: {error}") from None
        found.append(Sampled(index, _group(with_horizon(task, horizon, iteration=iteration), seen, iteration)))
    return sorted(found, key=lambda one: -one.group.task.difficulty)


def rows_of(rows: object) -> Iterable[Mapping[str, Any]]:
    """The rows as mappings of plain values. Raises ValueError for anything but a table or a list of mappings."""
    if callable(records := getattr(rows, "to_dict", None)):
        rows = records("records")
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"sampled_tasks: expected a table, or a list of rows, found {type(rows).__name__}")
    return [{key: _plain(value) for key, value in row.items()} for row in rows]


def horizon_from(env_config: object) -> HorizonConfig:
    """Step budgets in `train_difficulty_max_steps` and `test_difficulty_max_steps`. Raises ValueError."""
    names = ("train_difficulty_max_steps", "test_difficulty_max_steps")
    train, test = (horizon_of(field_of(env_config, name) or {}, name) for name in names)
    return HorizonConfig(by_difficulty=train, heldout_by_difficulty=test)


def _plain(value: object) -> Any:
    """A value of an array library as Python's own; a table has numpy's numbers and arrays."""
    unpack = getattr(value, "tolist", None)
    return unpack() if callable(unpack) else value


def _group(task: Task, seen: dict[str, int], iteration: int) -> Group:
    """A group of one episode. Repetitions of a task are groups of their own, as the threshold counts episodes."""
    number = seen[task.id] = seen.get(task.id, 0) + 1
    prefix = "i" if task.split == "train" else "e"
    again = f"-r{number:02d}" if number > 1 else ""
    return Group(group=f"{prefix}{iteration:04d}-{task.id}{again}", members=1, task=task)
