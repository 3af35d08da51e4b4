"""Curricula as pure functions: weights by hand, exact counts, new tasks not forgotten, and the same draw for the same history."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from environments.curriculum import ByProgress, Target, progress_weight, target_weight
from environments.history import Outcome, Progress, SuccessRate, TaskHistory
from environments.samplers import Candidate, by_weight, choose

TARGET, PROGRESS = Target(kind="target"), ByProgress(kind="progress")


def tasks(count: int, room: int = 1) -> list[Candidate]:
    return [Candidate(str(number), "g", 1, "", room, place=number) for number in range(count)]


def outcome(task: str, iteration: int, successes: int) -> Outcome:
    return Outcome(task=task, iteration=iteration, attempts=8, judged=8, successes=successes)


@pytest.mark.parametrize(
    ("successes", "judged", "weight"),
    [(4, 8, 1.0), (2, 8, 1.0), (6, 8, 1.0), (1, 8, 0.5), (7, 8, 0.5), (0, 8, 0.05), (8, 8, 0.05), (1, 2, None)],
)
def test_weights_of_a_band(successes: float, judged: float, weight: float | None) -> None:
    assert target_weight(SuccessRate(successes=successes, judged=judged), TARGET) == weight
    assert target_weight(None, TARGET) is None


def test_weights_by_learning_progress() -> None:
    assert progress_weight(Progress(0.7, 0.4, judged=9, since=5), PROGRESS) == pytest.approx(0.9 * 0.3 + 0.1 * 0.5)
    assert progress_weight(Progress(0.4, 0.7, judged=9, since=5), PROGRESS) == pytest.approx(0.9 * 0.3 + 0.1 * 0.5)
    assert progress_weight(Progress(1.0, 1.0, judged=9, since=1), PROGRESS) == 0.05
    assert progress_weight(Progress(0.7, 0.4, judged=2, since=5), PROGRESS) is None and not progress_weight(
        None, PROGRESS
    )


def test_progress_is_the_change_of_success() -> None:
    learned = [outcome("a", iteration, min(8, 2 * iteration)) for iteration in range(1, 5)]
    mastered = [outcome("b", iteration, 8) for iteration in range(1, 5)]
    found = TaskHistory([*learned, *mastered]).progress(iteration=5, recent=1, earlier=8, by_family=False)
    weights = [0.5**4, 0.5**3, 0.5**2, 0.5]
    assert found["a"].recent == pytest.approx(
        sum(w * s for w, s in zip(weights, (2, 4, 6, 8), strict=True)) / sum(weights) / 8
    )
    assert found["a"].recent > found["a"].earlier and found["a"].since == 1
    assert (found["b"].recent, found["b"].earlier) == (1.0, 1.0)


def test_tasks_within_the_band_come_first_and_new_ones_are_not_forgotten() -> None:
    success = {str(number): SuccessRate(successes=number % 9, judged=8) for number in range(27)}
    chosen = choose(tasks(40), 12, TARGET, success)
    counts = Counter("new" if int(one.key) >= 27 else 2 <= int(one.key) % 9 <= 6 for one in chosen)
    assert counts == {"new": 3, True: 9}
    assert choose(tasks(40), 12, TARGET, success) == chosen
    assert len(choose(tasks(40), 40, TARGET, success)) == 40


def test_families_are_played_in_proportion_to_their_weights() -> None:
    progress = {"0": Progress(0.8, 0.2, 20, 1), "1": Progress(0.5, 0.3, 20, 1), "2": Progress(1.0, 1.0, 20, 1)}
    config = ByProgress(kind="progress", staleness=0, floor=0.1)
    chosen = Counter(one.key for one in choose(tasks(3, room=99), 18, config, {}, progress))
    assert chosen == {"0": 12, "1": 4, "2": 2}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.none() | st.floats(0.05, 1), st.integers(0, 4)), max_size=12), st.floats(0, 1), st.data())
def test_exactly_what_was_asked_and_none_beyond_its_room(
    made: list[tuple[float | None, int]], new: float, data: st.DataObject
) -> None:
    some = [Candidate(str(number), "g", 1, "", room, number) for number, (_, room) in enumerate(made)]
    weights = {str(number): weight for number, (weight, _) in enumerate(made)}
    total = sum(room for _, room in made)
    count = data.draw(st.integers(0, total))
    chosen = Counter(one.key for one in by_weight(some, weights, count, new=new))
    assert chosen.total() == count and all(chosen[one.key] <= one.room for one in some)
    with pytest.raises(ValueError, match=f"at most {total} tasks"):
        by_weight(some, weights, total + 1, new=new)


def test_curricula_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"low must not be above high, found 0\.8 and 0\.2"):
        Target(kind="target", low=0.8, high=0.2)
    with pytest.raises(ValidationError, match="recent must be below earlier, found 8 and 8"):
        ByProgress(kind="progress", recent=8)
