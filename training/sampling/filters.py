"""Selects the trajectories and steps to train on: judged ones, in groups whose rewards differ.

A failed or unjudged trajectory is never a reward of 0: it takes part in neither the group's mean nor the loss.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from agent.types import Completion, Step, Trajectory
from agent.verdict import Verdict
from training.config import UpdateConfig
from training.sampling.advantages import group_advantages
from training.sampling.shaped_terms import Shaping, shaping_of

SAME_REWARD = 1e-6
"""Largest difference of rewards at which a group still has no signal."""


class Member(NamedTuple):
    """A trajectory with its reward and, once its group is complete, its advantage within the group."""

    trajectory: Trajectory
    reward: float
    """The judge's."""
    advantage: float


class Selection(NamedTuple):
    """The trajectories to train on, and counts of the others."""

    members: list[Member]
    """Members of the groups with signal, in the order of trajectory ids."""
    excluded: dict[str, int]
    """Trajectories left out, by reason: unjudged, blocked, failed_infra, failed_site, ..."""
    counts: dict[str, int]
    """trajectories, judged, groups, groups_zero_signal, groups_too_small, groups_used."""
    rewards: list[float]
    """The judges' rewards of all judged trajectories."""
    shaping: list[Shaping]
    """Their penalties, in the same order."""


def select(trajectories: Iterable[Trajectory], verdicts: Mapping[str, Verdict], config: UpdateConfig) -> Selection:
    """Groups trajectories and keeps the groups that have a signal."""
    groups: dict[str, list[tuple[Trajectory, float, Shaping]]] = {}
    excluded: Counter[str] = Counter()
    total = 0
    for trajectory in trajectories:
        total += 1
        if trajectory.task.canary:  # it is in no group that could be too small
            excluded["canary"] += 1
            continue
        verdict = verdicts.get(trajectory.id)
        members = groups.setdefault(trajectory.group, [])
        if (reason := why_excluded(trajectory, verdict)) or verdict is None or verdict.reward is None:
            excluded[reason or "unjudged"] += 1
        else:
            members.append((trajectory, verdict.reward, shaping_of(trajectory, config)))
    counts: Counter[str] = Counter(trajectories=total, judged=total - excluded.total(), groups=len(groups))
    counts.update(groups_zero_signal=0, groups_too_small=0, groups_used=0)
    kept: list[Member] = []
    for members in groups.values():
        rewards = np.array([reward for _, reward, _ in members])
        penalties = np.array([shaping.total for _, _, shaping in members])
        kind = _kind(rewards, penalties)
        counts[kind] += 1
        if kind == "groups_used":
            advantages = group_advantages(
                rewards,
                penalties,
                scale=config.advantage_scale,
                epsilon=config.advantage_epsilon,
                min_std=config.advantage_min_std,
            )
            kept += [Member(t, r, float(a)) for (t, r, _), a in zip(members, advantages, strict=True)]
    kept.sort(key=lambda member: member.trajectory.id)
    judged = [one for members in groups.values() for one in members]
    rewards, shaping = [reward for _, reward, _ in judged], [terms for _, _, terms in judged]
    return Selection(kept, dict(excluded), dict(counts), rewards, shaping)


def why_excluded(trajectory: Trajectory, verdict: Verdict | None) -> str | None:
    """Returns the reason to leave a trajectory out, or None when it may be trained on."""
    if trajectory.task.canary:
        return "canary"
    if trajectory.failure is not None:
        return f"failed_{trajectory.failure.side}"
    if verdict is not None and verdict.blocked:
        return "blocked"
    if verdict is None or verdict.reward is None:
        return "unjudged"
    return None


def trainable(step: Step) -> tuple[Completion | None, str]:
    """Returns the completion to train on, or None and the reason.

    An answer cut off by the token limit is masked: the model did not choose its end (DAPO's overlong filter).
    """
    completion = step.completion
    if completion is None or not completion.token_ids:
        return None, "no_tokens"
    if completion.finish_reason == "length":
        return None, "truncated"
    return completion, ""


def _kind(rewards: np.ndarray, penalties: np.ndarray) -> str:
    if len(rewards) < 2:
        return "groups_too_small"
    differs = np.ptp(rewards) > SAME_REWARD or np.ptp(penalties) > SAME_REWARD
    return "groups_used" if differs else "groups_zero_signal"
