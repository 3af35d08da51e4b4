"""Canaries: a task of an environment, made into one that nobody can do on the same page."""

import random

from agent.types import Task

CANARY = "canary-"
"""Begin of a canary's id."""


def canary_of(task: Task) -> Task:
    """The canary on the page of a task: to click a button whose name, a made-up word, is on no page.

    The same task gives the same canary. Example: `canary-click-button.7` of `click-button.7`.
    """
    rng = random.Random(f"canary/{task.domain}/{task.seed}")
    word = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(5)).capitalize()
    without = {"reference_answer": None, "expect": None, "rubric": ()}
    goal = f'Click on the "{word}" button.'
    return task.model_copy(update={"id": f"{CANARY}{task.id}", "goal": goal, "canary": True, **without})
