"""Ids of the work in progress: run, iteration, trajectory, lease. Every log line and every span of a block carries them.

    with bound(run="demo", iteration=3):
        with bound(trajectory="i0003-click-test.7-m02"):
            logger.warning("..")   # .. [run=demo iteration=3 trajectory=i0003-click-test.7-m02] ..

They live in a context variable: tasks and threads of asyncio that start in the block inherit them.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypedDict, Unpack


class Ids(TypedDict, total=False):
    """The ids, in the order in which a log line shows them."""

    run: str
    iteration: int
    stage: str
    trajectory: str
    attempt: int
    lease: str


_bound: ContextVar[Ids] = ContextVar("ids")


def ids() -> Ids:
    """The ids of the current block."""
    return _bound.get(Ids())


@contextmanager
def bound(**more: Unpack[Ids]) -> Generator[None]:
    """Adds ids to those of the blocks around this one; an id of the same name is replaced."""
    token = _bound.set(Ids(**{**ids(), **more}))
    try:
        yield
    finally:
        _bound.reset(token)
