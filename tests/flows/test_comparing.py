"""`rl-loop compare`: success paired by task, its significance, flips, settings, curves."""

from pathlib import Path

import pytest
from conftest import RlLoop
from hypothesis import given, settings
from hypothesis import strategies as st
from watched_run import WatchedStage

from flows.comparing.comparison import compare
from flows.comparing.paired import paired_difference
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from storage.errors import LoopError
from storage.stages import Stage

RATES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=30)


def evaluated_run(name: str, config: LoopConfig, rewards: list[float | None], iteration: int = 0) -> RunFolder:
    """A run with one finished evaluation: a task per reward; None is unjudged."""
    folder = RunFolder.create(name, config)
    stage = WatchedStage(folder, groups=len(rewards), members=1, iteration=iteration, stage=Stage.EVALUATE)
    stage.judges(dict(zip(stage.names, rewards, strict=True)))
    stage.finishes()
    return folder


def test_a_comparison_pairs_the_tasks_that_both_judged(config: LoopConfig) -> None:
    first = evaluated_run("first", config, [0, 0, 1, 1, 0, None])
    second = evaluated_run("second", config.model_copy(update={"seed": 7}), [1, 1, 1, 0, 1, 1])

    found = compare(first, second)

    assert found.means == (2 / 5, 4 / 5) and found.alone == (0, 1)
    assert found.difference is not None and found.difference.tasks == 5
    assert found.difference.difference == pytest.approx(2 / 5)
    assert [(flip.task, flip.second - flip.first) for flip in found.flips] == [
        ("click-link.3003", -1),
        *((f"click-link.300{number}", 1) for number in (0, 1, 4)),
    ]
    assert found.settings == {"seed": (0, 7)}


def test_the_significance_of_eight_of_eight_improvements() -> None:
    """By hand: of the 2^8 sign patterns two are as extreme as all equal, so p = 2/256."""
    found = paired_difference([0] * 8, [1] * 8)

    assert found is not None and found.p_value == pytest.approx(2 / 256)
    assert (found.difference, found.low, found.high) == (1, 1, 1)


@settings(max_examples=8, deadline=None)
@given(RATES, st.randoms(use_true_random=False))
def test_swapping_the_runs_turns_the_difference_around(first: list[float], random) -> None:
    second = random.sample(first, len(first))
    there, back = paired_difference(first, second), paired_difference(second, first)

    assert there is not None and back is not None
    assert there.difference == pytest.approx(-back.difference)
    assert 0 < there.p_value <= 1 and there.low <= there.difference <= there.high
    assert there.p_value == pytest.approx(back.p_value, abs=0.05)


def test_equal_rates_show_no_difference_and_one_task_shows_nothing() -> None:
    equal = paired_difference([0, 1, 1], [0, 1, 1])
    assert equal is not None and (equal.difference, equal.p_value) == (0, 1)
    assert paired_difference([0], [1]) is None


def test_the_command_prints_the_comparison_and_draws_the_curves(
    config: LoopConfig, rl_loop: RlLoop, tmp_path: Path
) -> None:
    first = evaluated_run("first", config, [0, 0, 1, 1])
    second = evaluated_run("second", config.model_copy(update={"seed": 7}), [1, 1, 1, 1])

    done = rl_loop("compare", str(first.root), str(second.root), "--picture", str(tmp_path / "curves.png"))

    assert done.status == 0, done.err
    assert "first (iteration 0) 50.0%, second (iteration 0) 100.0% of their common held-out tasks" in done.out
    assert "difference +50.0%" in done.out and "paired over 4 tasks" in done.out
    assert "seed: 0 -> 7" in done.out and "tasks that differ: 2 better, 0 worse" in done.out
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_bad_requests_get_a_sentence(config: LoopConfig, rl_loop: RlLoop) -> None:
    first, bare = evaluated_run("first", config, [0, 1]), RunFolder.create("bare", config)

    assert "expected two or more runs" in rl_loop("compare", str(first.root)).err
    assert "run bare has no finished evaluation" in rl_loop("compare", str(first.root), str(bare.root)).err
    with pytest.raises(LoopError, match="no evaluation of iteration 2; evaluated iterations: 0"):
        compare(first, first, at=2)
