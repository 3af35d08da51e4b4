"""The plan of forward passes."""

from hypothesis import given
from hypothesis import strategies as st

from training.learning.minibatches import Microbatch, picture_row, plan


def test_the_worked_example() -> None:
    made = plan([7] * 10, [1] * 10, minibatches=4, epochs=1, micro_batch_size=2, seed=0)
    assert (made.steps, made.accumulation) == (4, 2)
    assert [len(batch.rows) for batch in made.microbatches] == [2, 1, 2, 1, 1, 1, 1, 1]


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=60),
    st.integers(1, 8),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_every_sample_is_seen_once_per_epoch(
    lengths: list[int], minibatches: int, epochs: int, size: int, seed: int
) -> None:
    made = plan(lengths, lengths, minibatches=minibatches, epochs=epochs, micro_batch_size=size, seed=seed)
    assert made.steps == min(minibatches, len(lengths)) * epochs
    assert len(made.microbatches) == made.steps * made.accumulation
    seen = [row for batch in made.microbatches if not batch.blank for row in batch.rows]
    assert sorted(seen) == sorted(list(range(len(lengths))) * epochs)
    assert all(1 <= len(batch.rows) <= size for batch in made.microbatches)
    for start in range(0, len(made.microbatches), made.accumulation):
        step = made.microbatches[start : start + made.accumulation]
        tokens = sum(lengths[row] for batch in step if not batch.blank for row in batch.rows)
        assert {batch.step_tokens for batch in step} == {tokens}


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=60),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 2000),
    st.integers(1, 4),
)
def test_a_budget_of_tokens_and_several_processes_leave_the_steps_as_they_are(
    lengths: list[int], minibatches: int, size: int, budget: int, processes: int
) -> None:
    options = {"minibatches": minibatches, "epochs": 2, "micro_batch_size": size, "seed": 7}
    plain = plan(lengths, lengths, **options)
    made = plan(lengths, lengths, **options, processes=processes, micro_batch_tokens=budget)
    assert made.steps == plain.steps
    assert len(made.microbatches) == made.steps * made.accumulation * processes
    for batch in made.microbatches:
        assert len(batch.rows) <= size
        assert len(batch.rows) == 1 or len(batch.rows) * max(lengths[row] for row in batch.rows) <= budget
    assert _steps(made.microbatches, made.accumulation * processes) == _steps(plain.microbatches, plain.accumulation)


def _steps(microbatches: list[Microbatch], passes: int) -> list[tuple[set[int], int]]:
    """The samples of each optimiser step, and its number of tokens."""
    found = []
    for start in range(0, len(microbatches), passes):
        step = microbatches[start : start + passes]
        rows = [row for batch in step if not batch.blank for row in batch.rows]
        assert len(rows) == len(set(rows)) == step[0].step_samples
        found.append((set(rows), step[0].step_tokens))
    return found


def test_few_samples_make_fewer_steps_and_not_smaller_ones() -> None:
    def steps(samples: int) -> int:
        lengths = [5] * samples
        return plan(lengths, lengths, minibatches=4, epochs=2, micro_batch_size=8, smallest_minibatch=32, seed=0).steps

    assert (steps(25), steps(64), steps(100), steps(500)) == (2, 4, 6, 8)


def test_the_seed_decides_the_order() -> None:
    def rows(seed: int) -> list[tuple[int, ...]]:
        made = plan([5] * 20, [1] * 20, minibatches=4, epochs=1, micro_batch_size=5, seed=seed)
        return [batch.rows for batch in made.microbatches]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_a_pass_without_pictures_takes_the_shortest_one_along_that_has_some() -> None:
    pictured, lengths = [True, False, True, False], [9, 4, 7, 5]
    assert picture_row([[0], [1]], 0, pictured, lengths) == []
    assert picture_row([[0], [1]], 1, pictured, lengths) == [0]
    assert picture_row([[0], [2], [1, 3]], 2, pictured, lengths) == [2]
    assert picture_row([[1], [3]], 0, pictured, lengths) == []
