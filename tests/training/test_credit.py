"""Advantages: worked numbers, and what must hold for any rewards."""

from random import Random
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_rollouts import make_trajectory

from agent.types import Completion
from browser_service.models import ClickId, Screenshot
from training.algorithms.credit import ema_baselines, group_advantages, leave_one_out, spread
from training.config import UpdateConfig
from training.sampling.shaping import Shaping, format_errors, repeats, shaping_metrics

# Hundredths, as judges give them: groups are then either constant or clearly spread.
rewards = st.lists(st.integers(0, 100).map(lambda n: n / 100), min_size=2, max_size=16).map(np.array)


def test_one_success_in_four_is_the_worked_example() -> None:
    group = np.array([1.0, 0, 0, 0])
    assert group_advantages(group, scale="none", epsilon=1e-4).tolist() == [0.75, -0.25, -0.25, -0.25]
    assert group_advantages(group, scale="std", epsilon=1e-12) == pytest.approx([1.5, -0.5, -0.5, -0.5])


def test_one_success_in_two() -> None:
    assert group_advantages(np.array([1.0, 0.0]), scale="std", epsilon=1e-12) == pytest.approx([0.5**0.5, -(0.5**0.5)])


def test_a_single_trajectory_has_nothing_to_be_compared_with() -> None:
    with pytest.raises(ValueError, match="at least two"):
        group_advantages(np.array([1.0]), scale="std", epsilon=1e-4)


@given(rewards, st.floats(-10, 10), st.sampled_from(["std", "none"]))
def test_shifting_all_rewards_changes_nothing(group: np.ndarray, shift: float, scale: Literal["std", "none"]) -> None:
    moved = group_advantages(group + shift, scale=scale, epsilon=1e-4)
    assert moved == pytest.approx(group_advantages(group, scale=scale, epsilon=1e-4), abs=1e-9)


@given(rewards, st.floats(0.1, 10))
def test_stretching_all_rewards_changes_nothing_with_std(group: np.ndarray, factor: float) -> None:
    stretched = group_advantages(group * factor, scale="std", epsilon=1e-12)
    assert stretched == pytest.approx(group_advantages(group, scale="std", epsilon=1e-12), abs=1e-3)


@given(rewards)
def test_advantages_sum_to_zero_and_keep_the_order(group: np.ndarray) -> None:
    advantages = group_advantages(group, scale="std", epsilon=1e-4)
    assert advantages.sum() == pytest.approx(0, abs=1e-9)
    order = np.argsort(group, kind="stable")
    assert (np.diff(advantages[order]) >= 0).all()


@given(st.integers(0, 100), st.integers(2, 16))
def test_a_group_without_spread_gives_zeros(reward: int, size: int) -> None:
    group = np.full(size, reward / 100)
    assert group_advantages(group, scale="std", epsilon=1e-4) == pytest.approx(np.zeros(size), abs=1e-9)


def test_penalties_add_up_to_one_at_most() -> None:
    assert Shaping(format=0.05, repetition=0.1, length=0.0).total == pytest.approx(0.15)
    assert Shaping(format=4.5, repetition=0.0, length=0.5).total == 1.0
    assert shaping_metrics([Shaping(4.5, 0, 0), Shaping(0, 0.1, 0.2)]) == pytest.approx(
        {
            "shaping_mean": 0.65,
            "shaping_format_mean": 2.25,
            "shaping_repetition_mean": 0.05,
            "shaping_length_mean": 0.1,
        }
    )


@pytest.mark.parametrize("rewards", [[1.0] * 8, [0.0] * 8, [1.0, 0.0] * 4])
@pytest.mark.parametrize("scale", ["std", "none"])
def test_shaping_moves_an_advantage_by_no_more_than_the_penalty(
    rewards: list[float], scale: Literal["std", "none"]
) -> None:
    given, penalties = np.array(rewards), np.array([0.05] + [0.0] * 7)
    plain = group_advantages(given, scale=scale, epsilon=1e-4)
    shaped = group_advantages(given, penalties, scale=scale, epsilon=1e-4)
    moved = shaped - plain
    assert moved[0] == pytest.approx(-0.05 * 7 / 8) and moved[1:] == pytest.approx(0.05 / 8)
    assert shaped.sum() == pytest.approx(0, abs=1e-12)


def test_a_hundredth_of_a_reward_is_not_blown_up_to_a_failure() -> None:
    nearly_all = np.array([1.0] * 7 + [0.99])
    failed = np.array([1.0] * 7 + [0.0])
    floor = UpdateConfig().advantage_min_std
    assert group_advantages(nearly_all, scale="std", epsilon=1e-4)[-1] < -2.4
    assert group_advantages(nearly_all, scale="std", epsilon=1e-4, min_std=floor)[-1] == pytest.approx(-0.175, abs=1e-3)
    for group in (failed, np.array([1.0] + [0.0] * 399)):  # successes and failures are scaled as ever
        plain = group_advantages(group, scale="std", epsilon=1e-4)
        assert (group_advantages(group, scale="std", epsilon=1e-4, min_std=floor) == plain).all()


def test_repeats_count_the_same_action_on_the_same_picture_only() -> None:
    completion = Completion(text="click(1)", token_ids=(1,), logprobs=(-1.0,))
    trajectory = make_trajectory("t", [completion] * 5)
    seen = ["a", "a", "a", "b", "b"]
    actions = [ClickId(id=1), ClickId(id=1), ClickId(id=2), ClickId(id=2), None]
    steps = tuple(
        step.model_copy(
            update={
                "action": action,
                "observation": step.observation.model_copy(
                    update={"screenshot": Screenshot(sha256=sha256, media_type="image/png", width=1, height=1)}
                ),
            }
        )
        for step, sha256, action in zip(trajectory.steps, seen, actions, strict=True)
    )
    played = trajectory.model_copy(update={"steps": steps})
    assert repeats(played) == 1
    assert format_errors(played) == 1


# ---- baselines and scales beside the group's mean --------------------------------------------------------------------
def test_leave_one_out_by_hand() -> None:
    group = np.array([1.0, 0, 0, 0])
    assert leave_one_out(group) == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
    others = [group[[j for j in range(4) if j != i]].mean() for i in range(4)]
    assert leave_one_out(group) == pytest.approx(group - others)
    found = group_advantages(group, scale="none", epsilon=1e-4, baseline="leave_one_out")
    assert found.tolist() == leave_one_out(group).tolist()


def test_the_batch_divides_all_groups_alike() -> None:
    """Rewards [1, 0] and [1, 1, 0]: all five have a standard deviation of sqrt(0.3)."""
    easy, hard = np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0])
    std = spread([*hard, *easy])
    assert std == pytest.approx(0.3**0.5)
    found = group_advantages(hard, scale="batch_std", epsilon=1e-12, batch_std=std)
    assert found == pytest.approx([0.5 / 0.3**0.5, -0.5 / 0.3**0.5])
    assert spread([1.0]) == spread([]) == 0.0


def test_the_moving_average_by_hand() -> None:
    now, later = ema_baselines({"known": [1, 0, 1, 1], "new": [0.25]}, {"known": 0.5, "other": 0.7}, decay=0.9)
    assert now == {"known": 0.5, "new": 0.5}, "a new task begins at the mean of the tasks: (0.75 + 0.25) / 2"
    assert later == pytest.approx({"known": 0.525, "new": 0.475, "other": 0.7})
    assert ema_baselines({}, {"a": 0.5}, decay=0.9) == ({}, {"a": 0.5})


@given(rewards, st.randoms(use_true_random=False), st.sampled_from(["group", "leave_one_out"]))
def test_the_order_of_a_group_changes_nothing(
    group: np.ndarray, random: Random, baseline: Literal["group", "leave_one_out"]
) -> None:
    order = random.sample(range(len(group)), len(group))
    for scale in ("std", "batch_std", "none"):
        advantages = [
            group_advantages(one, scale=scale, epsilon=1e-4, min_std=0.05, baseline=baseline, batch_std=0.4)
            for one in (group, group[order])
        ]
        assert np.isfinite(advantages[0]).all()
        assert advantages[1] == pytest.approx(advantages[0][order], abs=1e-9)


@given(rewards)
def test_leave_one_out_is_the_centred_reward_times_a_constant(group: np.ndarray) -> None:
    size = len(group)
    assert leave_one_out(group) == pytest.approx((group - group.mean()) * size / (size - 1), abs=1e-12)
