"""Task ids of BrowserGym (Chezelles et al. 2024): `browsergym/miniwob.click-dialog` is a family of MiniWoB++ here."""

import re

from agent.types import Split, Task
from environments.base import SEEDS, UnknownTask
from environments.miniwob.environment import MiniWob

ID = re.compile(r"(?:browsergym/)?(?P<benchmark>[a-z_]+)\.(?P<task>[A-Za-z0-9._-]{1,200})")
ELSEWHERE = {
    "webarena": "its sites are yours: `rl-loop import webarena-verified` has the same tasks, checked again",
    "webarena_verified": "its sites are yours: `rl-loop import webarena-verified` has these tasks",
}
"""Benchmarks whose tasks come in another way."""


class NoSuchTask(ValueError):
    """An id that has no task here. The message is one sentence."""


def tasks_of(name: str, *, split: Split, count: int) -> list[Task]:
    """`count` tasks of an id, made from the first seeds of a split. Raises `NoSuchTask`."""
    match = ID.fullmatch(name)
    if match is None:
        raise NoSuchTask(f"expected an id such as browsergym/miniwob.click-dialog, found {name[:80]!r}")
    if match["benchmark"] != "miniwob":
        reason = ELSEWHERE.get(match["benchmark"], "no environment here has the tasks of this benchmark")
        raise NoSuchTask(f"{name[:80]}: {reason}")
    world, first = MiniWob(), SEEDS[split].start
    try:
        return [world.task(match["task"], first + number, split) for number in range(count)]
    except UnknownTask:
        raise NoSuchTask(
            f"{name[:80]}: not among the families of MiniWoB++ that are played here (`rl-loop environments list`)"
        ) from None
