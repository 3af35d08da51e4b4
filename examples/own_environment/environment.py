"""A to-do list, as a pattern for an environment of your own: copy this folder and change what is in it.

`rl-loop environments check ./own_environment` plays every task by its script and in ways that must not be rewarded.
"""

import random
from pathlib import Path
from typing import Any

from agent.types import AgentAction, Answer
from browser_service.models import Observation, Viewport
from environments.base import SeededEnvironment
from environments.bounds import Bounds
from environments.bundled import static_environment
from environments.marks import click_named, fill_form, find_named
from environments.providers.static.application import StaticApplication
from environments.providers.static.visits import State, Visit, known
from environments.tasks.templates import Ending, Filled, Parameters, Template

THINGS = ("bread", "candles", "flour", "paper", "rice", "soap", "stamps", "tea")


# 1. The state of an episode: all that an agent can change.
class Todo(State):
    """A list of things to buy, by id; True if one is done."""

    items: dict[str, bool]


def start(seed: int) -> Todo:
    """The start state of a seed: the same each time."""
    return Todo(items=dict.fromkeys(random.Random(seed).sample(THINGS, 4), False))


# 2. The actions: a form in pages/ that posts to `add` runs `add`. An action returns the next page.
def add(todo: Todo, visit: Visit) -> str:
    """Adds a thing. `visit.text` refuses an empty or a very long text."""
    todo.items[visit.text("thing", longest=40)] = False
    return "index.html"


def tick(todo: Todo, visit: Visit) -> str:
    """Marks a thing as done. `known` refuses what is not in the list."""
    todo.items[known(todo.items, visit, "thing")] = True
    return "index.html"


# 3. The tasks: a goal with parameters, a check on what changed, a scripted solution.
def fill_add(rng: random.Random, todo: Todo) -> Filled:
    """A thing that is not in the list yet."""
    thing = rng.choice([thing for thing in THINGS if thing not in todo.items])
    return Filled(f"Add {thing} to the list.", {"thing": thing})


def check_add(end: Ending) -> dict[str, bool]:
    """The thing is new in the list, and nothing else changed."""
    path = f"items/{end.parameters['thing']}"
    return {"added": end.changes.value(path) is False, "nothing_else": end.changes.only(path)}


def solve_add(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Fills the form, until the thing has a button."""
    if find_named(observation, f"Done: {parameters['thing']}"):
        return Answer(text="done")
    return fill_form(observation, {"Thing": parameters["thing"]}, "Add")


def fill_tick(rng: random.Random, todo: Todo) -> Filled:
    """A thing of the list."""
    thing = rng.choice(sorted(todo.items))
    return Filled(f"Mark {thing} as done.", {"thing": thing})


def check_tick(end: Ending) -> dict[str, bool]:
    """The thing is done, and nothing else changed."""
    path = f"items/{end.parameters['thing']}"
    return {"done": end.changes.value(path) is True, "nothing_else": end.changes.only(path)}


def solve_tick(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
    """Clicks the thing's button, until it is gone."""
    name = f"Done: {parameters['thing']}"
    return click_named(observation, name) if find_named(observation, name) else Answer(text="done")


TEMPLATES = (
    Template(
        name="add-thing", split="train", difficulty=1, max_steps=5, fill=fill_add, check=check_add, solve=solve_add
    ),
    Template(
        name="tick-thing",
        split="heldout",  # evaluated on, never trained on
        difficulty=1,
        max_steps=4,
        fill=fill_tick,
        check=check_tick,
        solve=solve_tick,
    ),
)


# 4. All of it together. `rl-loop` calls this function.
def make(*, viewport: Viewport | None, bounds: Bounds) -> SeededEnvironment:
    """The environment, not yet started."""
    actions: dict[str, Any] = {"add": add, "tick": tick}
    pages = Path(__file__).with_name("pages")
    todo = StaticApplication("todo", pages=pages, start=start, actions=actions, templates=TEMPLATES)
    return static_environment(todo, viewport=viewport, bounds=bounds)
