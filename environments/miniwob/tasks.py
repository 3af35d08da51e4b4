"""Task ids and tasks: `click-button.1000007` is the family's page drawn from seed 1000007, which is held out.

`canary-click-button.7` is a canary on the page drawn from seed 7: its goal is about a button that the page does not have.
"""

import re

from agent.types import Split, Task
from environments.base import SEEDS, UnknownTask
from environments.canaries import CANARY, canary_of
from environments.miniwob.families import find_family

TASK_ID = re.compile(r"(?P<domain>[a-z0-9-]+)\.(?P<seed>0|[1-9][0-9]{0,6})")


def make_task(domain: str, seed: int, split: Split) -> Task:
    """Makes the task of a family with a seed; its goal is empty, because the page states it at run time.

    Raises:
        UnknownTask: if there is no such family.
        ValueError: if the seed belongs to the other split or to none.
    """
    family = find_family(domain)
    if seed not in SEEDS[split]:
        seeds = SEEDS[split]
        raise ValueError(
            f"Seeds of the {split} split are {seeds.start} to {seeds.stop - 1}, found {seed} for {domain}."
        )
    return Task(
        id=f"{domain}.{seed}",
        environment="miniwob",
        domain=domain,
        seed=seed,
        max_steps=family.max_steps,
        split=split,
        difficulty=family.difficulty,
    )


def make_canary(domain: str, seed: int) -> Task:
    """Makes a training task that nobody can do: to click a button whose name, a made-up word, is on no page.

    Raises as `make_task`.
    """
    return canary_of(make_task(domain, seed, "train"))


def task_from_id(task_id: str) -> Task:
    """Makes the task of an id. Raises `UnknownTask` for an id that `make_task` cannot have made."""
    match = TASK_ID.fullmatch(task_id)
    if match is None:
        raise UnknownTask(f"Expected a MiniWoB++ task id such as click-button.1000007, found {task_id!r}.")
    domain, seed = match["domain"], int(match["seed"])
    if domain.startswith(CANARY):
        try:
            return make_canary(domain.removeprefix(CANARY), seed)
        except ValueError as error:
            raise UnknownTask(f"There is no canary {task_id!r}: {error}") from None
    split = next((split for split, seeds in SEEDS.items() if seed in seeds), None)
    if split is None:
        raise UnknownTask(f"Expected a seed below {SEEDS['heldout'].stop} in the task id {task_id!r}, found {seed}.")
    return make_task(domain, seed, split)
