"""Selects the trajectories and steps to train on: judged ones, in groups whose rewards differ.

A failed or unjudged trajectory is never a reward of 0: it takes part in neither the group's mean nor the loss.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from agent.types import Completion, Step, Trajectory
from agent.verdict import Verdict
from training.config import UpdateConfig
from training.sampling.crediting import Judged, Member, credit
from training.sampling.replay import Played, as_members, join_failed
from training.sampling.shaping import Shaping, shaping_of, unparsable


class Selection(NamedTuple):
    """The trajectories to train on, and counts of the others."""

    members: list[Member]
    """Members of the groups with signal, in the order of trajectory ids; replayed ones of a buffer before them."""
    excluded: dict[str, int]
    """Trajectories left out, by reason: unjudged, blocked, failed_infra, failed_site, ..."""
    counts: dict[str, int]
    """trajectories, judged, groups, groups_zero_signal, groups_too_small, groups_used; replayed where there is replay."""
    rewards: list[float]
    """The judges' rewards of all judged trajectories."""
    shaping: list[Shaping]
    """Their penalties, in the same order."""
    baselines: dict[str, float] = {}
    """Moving averages of rewards by task, for the next update (`credit: ema`)."""


def select(
    trajectories: Iterable[Trajectory],
    verdicts: Mapping[str, Verdict],
    config: UpdateConfig,
    *,
    earlier: Iterable[Played] = (),
    baselines: Mapping[str, float] | None = None,
    lean: Callable[[Trajectory], Trajectory] = lambda trajectory: trajectory,
) -> Selection:
    """Groups trajectories, keeps the groups that have a signal, and gives their members advantages.

    `earlier` are successes of earlier iterations for replay, `baselines` the moving averages that the parent knows. `lean`
    makes what is kept of a trajectory until all groups are known (`training.sampling.twice_read`).
    """
    groups: dict[str, list[Judged]] = {}
    rewards: list[float] = []
    shaping: list[Shaping] = []
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
            terms = shaping_of(trajectory, config)
            members.append(Judged(lean(trajectory), verdict.reward, terms.total))
            rewards.append(verdict.reward)
            shaping.append(terms)
    counts = {"trajectories": total, "judged": total - excluded.total(), "groups": len(groups)}
    replayed: list[Member] = []
    if config.replay_iterations:
        old = list(earlier)
        if config.credit == "success":
            replayed = as_members(old)
            counts["replayed"] = len(replayed)
        else:
            counts["replayed"] = join_failed(groups.values(), old, success=config.success_reward)
    found = credit(groups.values(), config, baselines or {})
    kept = replayed + sorted(found.members, key=lambda member: member.trajectory.id)
    return Selection(kept, dict(excluded), counts | found.counts, rewards, shaping, found.baselines)


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


def trainable(step: Step, *, mask_truncated: bool = True) -> tuple[Completion | None, str]:
    """Returns the completion to train on, or None and the reason.

    An answer cut off by the token limit is masked: the model did not choose its end (DAPO's overlong filter).
    """
    completion = step.completion
    if completion is None or not completion.token_ids:
        return None, "no_tokens"
    if completion.finish_reason == "length" and mask_truncated:
        return None, "truncated"
    return completion, ""


def masked_by_rule(step: Step, advantage: float, *, config: UpdateConfig, without_effect: bool) -> str:
    """Returns the rule of the configuration that leaves a step out, empty if there is none.

    `without_effect` is True if the screenshot after the step is the same.
    """
    if unparsable(step) and _applies(config.mask_unparsable, advantage):
        return "unparsable"
    if without_effect and _applies(config.mask_unchanged, advantage):
        return "unchanged"
    return ""


def _applies(rule: Literal["none", "positive", "all"], advantage: float) -> bool:
    return rule == "all" or (rule == "positive" and advantage > 0)
