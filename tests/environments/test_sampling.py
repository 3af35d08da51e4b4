"""Which tasks are played: a function of the arguments alone, balanced, without repeats."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.types import Split
from environments.base import SEEDS, UnknownTask
from environments.miniwob import MiniWob
from environments.sampling import sample_tasks

FAMILIES = MiniWob().domains()
some_families = st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=6, unique=True)
splits: st.SearchStrategy[Split] = st.sampled_from(["train", "heldout"])
counts = st.integers(0, 200)
seeds = st.integers(0, 2**32)
iterations = st.integers(0, 900)


@settings(deadline=None)  # a shared machine stalls now and then
@given(some_families, splits, counts, seeds, iterations)
def test_tasks_are_a_function_of_the_arguments_balanced_and_different(
    families: list[str], split: Split, count: int, seed: int, iteration: int
) -> None:
    first = sample_tasks(MiniWob(), families, split=split, count=count, seed=seed, iteration=iteration)
    again = sample_tasks(MiniWob(), families, split=split, count=count, seed=seed, iteration=iteration)
    assert first == again
    assert len({task.id for task in first}) == len(first) == count
    assert all(task.split == split and task.seed in SEEDS[split] for task in first)
    per_family = Counter({family: 0 for family in families} | Counter(task.domain for task in first))
    assert max(per_family.values()) - min(per_family.values()) <= 1


@settings(deadline=None)  # a shared machine stalls now and then
@given(some_families, counts, seeds, iterations, iterations)
def test_training_seeds_of_two_iterations_never_meet(
    families: list[str], count: int, seed: int, one: int, other: int
) -> None:
    first = sample_tasks(MiniWob(), families, split="train", count=count, seed=seed, iteration=one)
    second = sample_tasks(MiniWob(), families, split="train", count=count, seed=seed, iteration=other)
    assert one == other or not {task.id for task in first} & {task.id for task in second}


@settings(deadline=None)  # a shared machine stalls now and then
@given(some_families, counts, seeds, iterations)
def test_held_out_tasks_do_not_depend_on_the_iteration(
    families: list[str], count: int, seed: int, iteration: int
) -> None:
    before = sample_tasks(MiniWob(), families, split="heldout", count=count, seed=seed, iteration=0)
    assert before == sample_tasks(MiniWob(), families, split="heldout", count=count, seed=seed, iteration=iteration)


def test_another_seed_gives_other_tasks_and_another_order_of_families() -> None:
    def drawn(seed: int) -> list[str]:
        tasks = sample_tasks(MiniWob(), FAMILIES, split="train", count=20, seed=seed, iteration=1)
        return [task.id for task in tasks]

    assert not set(drawn(1)) & set(drawn(2))
    assert [task.split(".")[0] for task in drawn(1)] != [task.split(".")[0] for task in drawn(2)]


def test_a_known_draw_stays_what_it_is() -> None:
    """A resumed run must get its tasks again on another machine or Python."""
    tasks = sample_tasks(MiniWob(), ["click-button", "enter-text"], split="train", count=3, seed=0, iteration=2)
    assert [task.id for task in tasks] == ["click-button.2315", "enter-text.2573", "click-button.2184"]


@pytest.mark.parametrize("families", [[], ["click-button", "click-button"]])
def test_no_family_or_a_repeated_one_is_refused(families: list[str]) -> None:
    with pytest.raises(ValueError, match="Expected one or more different task families"):
        sample_tasks(MiniWob(), families, split="train", count=1, seed=0, iteration=0)


def test_more_tasks_than_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected 0 to 1000 tasks of 1 families"):
        sample_tasks(MiniWob(), ["click-button"], split="train", count=1_001, seed=0, iteration=0)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UnknownTask, match="click-button"):
        sample_tasks(MiniWob(), ["click-buton"], split="train", count=1, seed=0, iteration=0)
