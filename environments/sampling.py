"""Tasks of families that are made from seeds: an iteration always has the same tasks, and no seed is in both splits."""

import random
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from agent.types import Split, Task
from environments.base import SEEDS, SeededEnvironment

SEEDS_PER_ITERATION = 1_000
"""Size of each training iteration's own block of seeds per family, so no task repeats within 1,000 iterations."""


def sample_tasks(
    environment: SeededEnvironment, domains: Sequence[str], *, split: Split, count: int, seed: int, iteration: int
) -> list[Task]:
    """Returns `count` different tasks, balanced over the families: their numbers differ by one at most.

    Equal arguments give equal lists. Training tasks change with the iteration; held-out tasks do not, so that
    evaluations can be compared.

    Raises:
        ValueError: if there is no family, a family twice, or too few seeds for `count` different tasks.
        UnknownTask: if the environment has no such family.
    """
    if not domains or len(set(domains)) != len(domains):
        raise ValueError(f"Expected one or more different task families, found {list(domains)}.")
    block = seed_block(split, iteration)
    if not 0 <= count <= len(block) * len(domains):
        limit = len(block) * len(domains)
        raise ValueError(f"Expected 0 to {limit} tasks of {len(domains)} families in one call, found {count}.")
    key = f"{seed}/{split}/{iteration if split == 'train' else 'always'}"
    order = random.Random(key).sample(list(domains), len(domains))
    seeds = {domain: draw(block, f"{key}/{domain}") for domain in domains}
    return [environment.task(domain, next(seeds[domain]), split) for domain in islice(cycle(order), count)]


def seed_block(split: Split, iteration: int) -> range:
    """The seeds of an iteration: all held-out ones, or the iteration's own block of the training seeds."""
    seeds = SEEDS[split]
    if split == "heldout":
        return seeds
    first = iteration * SEEDS_PER_ITERATION % len(seeds)
    return seeds[first : first + SEEDS_PER_ITERATION]


def draw(seeds: range, key: str) -> Iterator[int]:
    """Yields different seeds of the range in an order from the key; a longer draw begins with the shorter one."""
    rng = random.Random(key)
    drawn: set[int] = set()
    while len(drawn) < len(seeds):
        if (seed := rng.choice(seeds)) not in drawn:
            drawn.add(seed)
            yield seed
