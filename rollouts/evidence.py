"""The share of a stage's groups with valid episodes, and the handling of a stage with too few of them.

    group of 4:  ok ok site infra     counts: two episodes can be compared
                 ok site site site    does not count
    too few groups count ── a fault of the configuration ──> StageError at once
                         ── anything else: delete broken episodes, pause, play again ──> StageError after `outage_s`

A stage that is given up is not finished, and its broken episodes are deleted from the store: a resume plays them again.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from agent.episode_facts import EpisodeFacts
from agent.failures import CONFIGURATION
from agent.types import Failure
from agent.verdict import Verdict
from rollouts.inputs import RunInputs
from rollouts.plan import Group, planned_groups
from storage.stages import Stage, StageKey
from storage.store import TrajectoryStore

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
"""Seconds before a stage without evidence is played again, doubled each time, and their maximum."""


class Lack(NamedTuple):
    """A stage has too few groups with valid episodes."""

    sentence: str
    configuration: bool
    """True if the configuration is at fault, so that playing again cannot help."""


def episode_is_valid(failure: Failure | None) -> bool:
    """True if an episode is evidence about the policy: it ended without failure, or the policy failed."""
    return failure is None or failure.side == "policy"


def lack_of_evidence(run: RunInputs, key: StageKey, episodes: Iterable[EpisodeFacts]) -> Lack | None:
    """Describes what the stage lacks to be valid; None when enough of its complete groups are valid.

    `episodes`: the facts of the stage's stored trajectories, so that none of them is read a second time.
    """
    stored = {one.id: one.failure for one in episodes}
    planned = [group for group in planned_groups(run, key.iteration, key.stage) if not group.task.canary]
    groups = [group for group in planned if stored.keys() >= set(group.names())]
    failures = {name: stored[name] for group in groups for name in group.names()}
    whole = {name for name, failure in failures.items() if episode_is_valid(failure)}
    valid = sum(_counts(group, whole) for group in groups)
    needed = needed_of(run, len(groups), key.stage)
    if valid >= needed:
        return None
    broken = [failure for failure in failures.values() if failure is not None and not episode_is_valid(failure)]
    worst = most_common(broken)
    return Lack(
        f"{key}: {valid} of {len(groups)} groups have episodes that count, {needed} are needed "
        f"(rollout.min_valid_groups); {len(broken)} of {len(failures)} episodes broke, most by {worst.side} {worst.code}: "
        f"{worst.message}",
        worst.code in CONFIGURATION,
    )


def lack_of_verdicts(
    run: RunInputs, key: StageKey, verdicts: Iterable[Verdict], episodes: Iterable[EpisodeFacts]
) -> str | None:
    """The sentence that too few of the groups that could be judged were judged; None when enough were.

    `episodes`: the facts of the judged trajectories, so that none of them is read a second time.
    """
    by_id = {verdict.trajectory_id: verdict for verdict in verdicts}
    rollout = Stage.ROLLOUT if key.stage is Stage.JUDGE else key.stage
    valid = {one.id for one in episodes if one.failed_on in (None, "policy") and one.id in by_id}
    judged = {name for name in valid if by_id[name].reward is not None or by_id[name].blocked}
    planned = [group for group in planned_groups(run, key.iteration, rollout) if not group.task.canary]
    groups = [group for group in planned if _counts(group, valid)]
    judged_groups, needed = sum(_counts(group, judged) for group in groups), needed_of(run, len(groups), rollout)
    if judged_groups >= needed:
        return None
    (why, _), *_ = Counter(by_id[name].evidence for name in valid - judged).most_common(1)
    return (
        f"{key}: {judged_groups} of {len(groups)} groups could be judged, {needed} are needed (rollout.min_valid_groups); "
        f"{len(valid - judged)} of {len(valid)} episodes have no verdict, most of them: {why}"
    )


def needed_of(run: RunInputs, groups: int, stage: Stage) -> int:
    """Valid groups needed out of `groups`. A rollout that kills stragglers needs no more than it waits for."""
    config = run.rollout
    share = config.min_valid_groups
    if stage is Stage.ROLLOUT and config.stragglers == "kill":
        share = min(share, config.completion_threshold)
    return math.ceil(share * groups - 1e-9)


def forget_broken(run: RunInputs, iteration: int, stage: Stage) -> int:
    """Deletes the episodes that are no evidence about the policy, so that they are played again. Returns how many."""
    store = TrajectoryStore(run.layout.stage_dir(iteration, stage))
    broken = [name for name in store.ids() if not episode_is_valid(store.read(name).failure)]
    for name in broken:
        store.forget(name)
    return len(broken)


def pause_before(round: int) -> float:
    """Seconds before the stage is played for the `round`-th further time."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (round - 1))


def most_common(failures: list[Failure]) -> Failure:
    """One of the failures with the most frequent code."""
    code = Counter(failure.code for failure in failures).most_common(1)[0][0]
    return next(failure for failure in failures if failure.code == code)


def _counts(group: Group, names: set[str]) -> bool:
    """True if `names` hold enough of the group's episodes to be compared: two, or its only one."""
    return len(names.intersection(group.names())) >= min(2, group.members)
