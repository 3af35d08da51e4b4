"""Templates of tasks: a goal with parameters, a check on the changes, a scripted solution, a rubric.

Templates of the held-out split are other templates than those for training, not only other seeds.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from agent.types import AgentAction, Split, Task
from browser_service.models import Observation
from environments.base import SEEDS, UnknownTask
from environments.tasks.changes import Changes

TASK_ID = re.compile(r"(?P<domain>[a-z0-9-]+)\.(?P<seed>0|[1-9][0-9]{0,6})")
Parameters = dict[str, Any]


class Filled(NamedTuple):
    """A template with its parameters. Example: `Filled("Put the lamp into the cart.", {"product": "lamp-3"})`."""

    goal: str
    parameters: Parameters


class Ending(NamedTuple):
    """The evidence from which a check decides."""

    parameters: Parameters
    changes: Changes
    answer: str
    """The agent's answer; empty if it gave none."""


Fill = Callable[[random.Random, Any], Filled]
Check = Callable[[Ending], Mapping[str, bool]]
Solve = Callable[[Parameters, Observation, int], AgentAction]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A family of tasks. Example: `Template(name="add-to-cart", split="train", difficulty=1, ...)`."""

    name: str
    """Lower case, digits and hyphens; the task ids begin with it."""
    split: Split
    difficulty: int
    """1: one or two actions on visible elements. 2: several pages. 3: information is found or compared, or several things
    have to be done."""
    max_steps: int
    fill: Fill
    """Draws parameters for an application in this start state."""
    check: Check
    """Criteria by name; the reward is 1 if all hold, otherwise 0."""
    solve: Solve
    """The next action of the scripted solution: parameters, page, number of the step from 0."""
    rubric: tuple[str, ...] = ()
    """Facts for a judge that sees pages only."""


class Templates:
    """The templates of one application, by name."""

    def __init__(self, environment: str, templates: Sequence[Template]) -> None:
        """Raises ValueError for two templates of one name, and for a split without any."""
        self._environment = environment
        self._by_name = {template.name: template for template in templates}
        if len(self._by_name) != len(templates):
            raise ValueError(f"{environment}: two templates have the same name")
        for split in SEEDS:
            if not self.names(split):
                raise ValueError(f"{environment}: expected a template of the {split} split, found none")

    def names(self, split: Split | None = None) -> list[str]:
        """Names of the templates, of one split or of both, sorted."""
        return sorted(name for name, template in self._by_name.items() if split in (None, template.split))

    def find(self, name: str) -> Template:
        """The template with this name. Raises `UnknownTask` that names the nearest ones."""
        if (template := self._by_name.get(name)) is None:
            near = get_close_matches(name, self._by_name, n=3) or self.names()
            raise UnknownTask(
                f"There is no task family {name!r} in {self._environment}; did you mean {', '.join(near)}?"
            )
        return template

    def task(self, name: str, seed: int, split: Split, start: Callable[[int], Any]) -> Task:
        """Makes the task of a template with a seed; `start` gives the application's start state of a seed.

        Raises `UnknownTask`, and ValueError for a template or a seed of the other split.
        """
        template = self.find(name)
        if template.split != split or seed not in SEEDS[split]:
            seeds = SEEDS[template.split]
            raise ValueError(
                f"{name} is a family of the {template.split} split with seeds {seeds.start} to {seeds.stop - 1}, "
                f"found seed {seed} for the {split} split."
            )
        return Task(
            id=f"{name}.{seed}",
            environment=self._environment,
            goal=self.filled(name, seed, start).goal,
            domain=name,
            seed=seed,
            max_steps=template.max_steps,
            split=split,
            difficulty=template.difficulty,
            rubric=template.rubric,
        )

    def task_from_id(self, task_id: str, start: Callable[[int], Any]) -> Task:
        """Makes the task of an id. Raises `UnknownTask` for an id that `task` cannot have made."""
        match = TASK_ID.fullmatch(task_id)
        if match is None:
            raise UnknownTask(
                f"Expected a task id of {self._environment} such as {self.names()[0]}.7, found {task_id!r}."
            )
        template, seed = self.find(match["domain"]), int(match["seed"])
        if seed not in SEEDS[template.split]:
            seeds = SEEDS[template.split]
            raise UnknownTask(f"Expected a seed from {seeds.start} to {seeds.stop - 1} in {task_id!r}, found {seed}.")
        return self.task(template.name, seed, template.split, start)

    def filled(self, name: str, seed: int, start: Callable[[int], Any]) -> Filled:
        """The goal and the parameters of a task: the same for the same seed."""
        return self.find(name).fill(random.Random(f"{name}/{seed}"), start(seed))
