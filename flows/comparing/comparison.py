"""Two runs side by side: held-out success paired by task, tasks that flipped, settings that differ."""

from typing import Any, NamedTuple

from flows.comparing.paired import PairedDifference, paired_difference
from flows.comparing.task_rates import TaskRate, evaluated, heldout_rates
from flows.settings.identity import changed
from flows.settings.run_folder import RunFolder
from storage.errors import LoopError


class Flip(NamedTuple):
    """A task on which two policies differ."""

    task: str
    goal: str
    first: float
    second: float


class Comparison(NamedTuple):
    """Held-out success of two policies, one of each run."""

    first: RunFolder
    second: RunFolder
    iterations: tuple[int, int]
    """The iteration whose evaluation is compared, of each run."""
    means: tuple[float, float] | None
    """Mean over the common tasks, of each run; None without common tasks."""
    difference: PairedDifference | None
    """None for fewer than two common tasks."""
    flips: tuple[Flip, ...]
    """Common tasks with different rates, the largest loss first."""
    alone: tuple[int, int]
    """Number of tasks that only one of the runs has."""
    settings: dict[str, tuple[Any, Any]]
    """Keys of the configuration that differ, with both values."""


def compare(first: RunFolder, second: RunFolder, at: int | None = None) -> Comparison:
    """Compares the last evaluations, or those of iteration `at`. Raises `LoopError` if a run has no such evaluation."""
    iterations = (_evaluation(first, at), _evaluation(second, at))
    mine, other = heldout_rates(first, iterations[0]), heldout_rates(second, iterations[1])
    common = sorted(mine.keys() & other.keys())
    rates = [mine[task].rate for task in common], [other[task].rate for task in common]
    means = (sum(rates[0]) / len(common), sum(rates[1]) / len(common)) if common else None
    return Comparison(
        first=first,
        second=second,
        iterations=iterations,
        means=means,
        difference=paired_difference(*rates),
        flips=tuple(flips(mine, other)),
        alone=(len(mine) - len(common), len(other) - len(common)),
        settings=changed(first.config, second.config),
    )


def flips(mine: dict[str, TaskRate], other: dict[str, TaskRate]) -> list[Flip]:
    """The common tasks with different rates, the largest loss of the second run first, then by task id."""
    found = [
        Flip(task, mine[task].goal, mine[task].rate, other[task].rate)
        for task in mine.keys() & other.keys()
        if mine[task].rate != other[task].rate
    ]
    return sorted(found, key=lambda flip: (flip.second - flip.first, flip.task))


def _evaluation(folder: RunFolder, at: int | None) -> int:
    known = evaluated(folder)
    if not known:
        raise LoopError(f"run {folder.name} has no finished evaluation, so there is nothing to compare yet")
    if at is None:
        return known[-1]
    if at not in known:
        places = ", ".join(map(str, known))
        raise LoopError(f"run {folder.name} has no evaluation of iteration {at}; evaluated iterations: {places}")
    return at
