"""Groups of judged trajectories -> members with advantages, as `update.credit` says."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from agent.types import Trajectory
from training.algorithms.credit import ema_baselines, group_advantages, spread
from training.algorithms.credit_settings import CreditSettings
from training.algorithms.step_groups import Walk, step_advantages
from training.sampling.anchors import anchor_of

SAME_REWARD = 1e-6
"""Largest difference of rewards at which a group still has no signal."""
KINDS = ("groups_zero_signal", "groups_too_small", "groups_used")


class Judged(NamedTuple):
    """A trajectory that takes part in its group."""

    trajectory: Trajectory
    reward: float
    """The judge's."""
    penalty: float
    """Of shaping."""
    replayed: bool = False
    """True for a success of an earlier iteration: it has an advantage, but counts in no average over this update's rewards."""


class Member(NamedTuple):
    """A trajectory with its reward and, once its group is complete, its advantage within the group."""

    trajectory: Trajectory
    reward: float
    """Shaped: the judge's reward minus the penalties."""
    advantage: float
    by_turn: tuple[float, ...] = ()
    """Advantages of its turns (steps with a completion), if they differ; empty: `advantage` for each."""


class Credited(NamedTuple):
    """Members with a signal, and counts of groups by kind."""

    members: list[Member]
    counts: dict[str, int]
    baselines: dict[str, float] = {}
    """Moving averages by task for the next update (`credit: ema`)."""


def credit(groups: Iterable[Sequence[Judged]], settings: CreditSettings, known: Mapping[str, float]) -> Credited:
    """Gives advantages to the members of all groups that have a signal. `known` are the tasks' moving averages."""
    groups = list(groups)
    match settings.credit:
        case "success":
            return _successes(groups, settings)
        case "ema":
            return _against_average(groups, settings, known)
        case "group" | "leave_one_out":
            return _within_groups(groups, settings)


def _within_groups(groups: Sequence[Sequence[Judged]], settings: CreditSettings) -> Credited:
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    members: list[Member] = []
    batch_std = spread([one.reward for group in groups for one in group if not one.replayed])
    for group in groups:
        if len(group) < 2:
            counts["groups_too_small"] += 1
            continue
        rewards = np.array([one.reward for one in group])
        penalties = np.array([one.penalty for one in group])
        by_turn = _by_turn(group, settings, batch_std)
        differs = np.ptp(rewards) > SAME_REWARD or np.ptp(penalties) > SAME_REWARD
        if not differs and not any(np.abs(turns).max(initial=0) > SAME_REWARD for turns in by_turn):
            counts["groups_zero_signal"] += 1
            continue
        counts["groups_used"] += 1
        advantages = group_advantages(
            rewards,
            penalties,
            scale=settings.advantage_scale,
            epsilon=settings.advantage_epsilon,
            min_std=settings.advantage_min_std,
            baseline="leave_one_out" if settings.credit == "leave_one_out" else "group",
            batch_std=batch_std,
        )
        members += [_member(one, float(a), turns) for one, a, turns in zip(group, advantages, by_turn, strict=True)]
    return Credited(members, dict(counts))


def _by_turn(group: Sequence[Judged], settings: CreditSettings, batch_std: float) -> list[np.ndarray]:
    """Weighted step advantages of each trajectory's turns, in its order; empty arrays without step credit."""
    if not settings.step_weight:
        return [np.zeros(0)] * len(group)
    walks = [Walk(one.reward, _anchors(one.trajectory, settings)) for one in group]
    found = step_advantages(
        walks,
        discount=settings.step_discount,
        scale=settings.advantage_scale,
        epsilon=settings.advantage_epsilon,
        min_std=settings.advantage_min_std,
        batch_std=batch_std,
    )
    return [settings.step_weight * turns for turns in found]


def _anchors(trajectory: Trajectory, settings: CreditSettings) -> list[object]:
    """The anchor of each turn; one that nothing equals where the observation has none."""
    turns = [step for step in trajectory.steps if step.completion is not None]
    return [anchor_of(step, settings.step_anchor) or (trajectory.id, step.index) for step in turns]


def _member(one: Judged, advantage: float, turns: np.ndarray) -> Member:
    by_turn = tuple(float(advantage + more) for more in turns)
    return Member(one.trajectory, one.reward - one.penalty, advantage, by_turn)


def _against_average(
    groups: Sequence[Sequence[Judged]], settings: CreditSettings, known: Mapping[str, float]
) -> Credited:
    rewards: dict[str, list[float]] = {}
    for one in (one for group in groups for one in group if not one.replayed):
        rewards.setdefault(one.trajectory.task.id, []).append(one.reward)
    now, later = ema_baselines(rewards, known, decay=settings.baseline_decay)
    std = spread([reward for some in rewards.values() for reward in some])
    scale = settings.advantage_scale == "batch_std"
    divisor = max(std, settings.advantage_min_std) + settings.advantage_epsilon if scale else 1.0
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    members: list[Member] = []
    for group in groups:
        found = [(one, (one.reward - now[one.trajectory.task.id]) / divisor - one.penalty) for one in group]
        has_signal = any(abs(advantage) > SAME_REWARD for _, advantage in found)
        counts["groups_used" if has_signal else "groups_zero_signal" if group else "groups_too_small"] += 1
        if has_signal:
            members += [Member(one.trajectory, one.reward - one.penalty, advantage) for one, advantage in found]
    return Credited(members, dict(counts), later)


def _successes(groups: Sequence[Sequence[Judged]], settings: CreditSettings) -> Credited:
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    members: list[Member] = []
    for group in groups:
        good = [one for one in group if one.reward >= settings.success_reward]
        counts["groups_used" if good else "groups_zero_signal" if group else "groups_too_small"] += 1
        members += [Member(one.trajectory, one.reward, 1.0) for one in good]
    return Credited(members, dict(counts))
