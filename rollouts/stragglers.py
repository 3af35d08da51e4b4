"""Treatment of groups that are unfinished when a rollout ends: carried over to the next iteration, or stored as failed.

    iterations/0003/rollout/carried.jsonl     the groups that iteration 4 continues, in the format of plan.jsonl

The decision is written first. Then the finished members of a carried-over group move to the next iteration's folder, so
that a group is judged and learned from as a whole, once. A resume completes the move after a crash in between; episodes
that were running are then played again from their start.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from agent.types import Trajectory
from rollouts.board import Board
from rollouts.inputs import RunInputs
from rollouts.pace import Pace, is_too_old, pace_of, share_to_wait_for, surplus
from rollouts.plan import Group, assigned, planned_groups, read_carried, write_carried
from storage.stages import Stage
from storage.store import TrajectoryStore


def threshold_of(run: RunInputs, iteration: int, stage: Stage) -> float:
    """Share of a stage's groups that must be complete before it may end without the rest. The stage is planned."""
    config = run.rollout
    if stage is not Stage.ROLLOUT:
        # Without a successor to carry groups to, ending early would lose them, so the stage waits for all.
        return 1.0
    if config.stragglers == "carry_over" and not carries(run, iteration):
        return 1.0
    if not config.lag:
        return config.completion_threshold
    return config.completion_threshold * share_to_wait_for(config, planned_groups(run, iteration, stage))


def carries(run: RunInputs, iteration: int) -> bool:
    """True if an iteration leaves unfinished groups to the next one. The last one has no next."""
    return run.rollout.stragglers == "carry_over" and iteration < run.settings.iterations


def unfinished_shards(run: RunInputs, iteration: int, stage: Stage) -> dict[int, list[Group]]:
    """The shards that have unfinished work, with their groups."""
    config = run.rollout
    # Killed stragglers are stored too, so `kill` is over only when no trajectory is missing.
    threshold = threshold_of(run, iteration, stage) if carries(run, iteration) else 1.0
    lag = config.lag if stage is Stage.ROLLOUT and carries(run, iteration) else 0
    store = TrajectoryStore(run.layout.stage_dir(iteration, stage))
    shards = {}
    for shard, mine in enumerate(assigned(planned_groups(run, iteration, stage), config.weights())):
        done = {name for group in mine for name in group.names() if store.has(name)}
        board = Board(config, mine, done=done, threshold=threshold)
        begun = updates_before(store, board.unfinished) if lag else {}
        if not board.is_enough or any(is_too_old(one, iteration=iteration, lag=lag) for one in begun.values()):
            shards[shard] = mine
    return shards


def stage_pace(run: RunInputs, iteration: int, mine: list[Group]) -> Pace:
    """The pace of an iteration's rollout stage for the shard with the groups `mine`."""
    planned = planned_groups(run, iteration, Stage.ROLLOUT)
    pace = pace_of(run.rollout, planned, iteration=iteration, last=run.settings.iterations)
    if pace.lag is None:
        return pace
    store = TrajectoryStore(run.layout.stage_dir(iteration, Stage.ROLLOUT))
    return replace(pace, begun=updates_before(store, (group for group in mine if not is_complete(group, store))))


def is_complete(group: Group, store: TrajectoryStore) -> bool:
    """True if all trajectories of a group are stored."""
    return all(store.has(name) for name in group.names())


def updates_before(store: TrajectoryStore, groups: Iterable[Group]) -> dict[str, int]:
    """Number of updates before each of these groups began, by its stored members; groups without any are left out.

    It is the oldest version that sampled one of their steps, which is lower where updates since had no signal.
    """
    found: dict[str, int] = {}
    for group in groups:
        members = [store.read(name) for name in group.names() if store.has(name)]
        versions = [version for member in members for version in versions_of(member)]
        if versions:
            found[group.group] = min(versions)
    return found


def versions_of(trajectory: Trajectory) -> list[int]:
    """The versions of the policy that sampled a trajectory: that of its beginning, and those of its steps."""
    completions = [step.completion for step in trajectory.steps if step.completion is not None]
    found = [trajectory.policy_version, *(completion.policy_version for completion in completions)]
    return [version for version in found if version is not None]


async def carry_over(run: RunInputs, iteration: int, carry: Callable[[int], Awaitable[None]]) -> list[Group]:
    """Leaves the unfinished groups of a finished rollout to the next iteration; returns them. Idempotent.

    `carry` moves the running episodes to the iteration with the given number (`ShardWorkers.carry`).
    """
    old, new = (TrajectoryStore(run.layout.stage_dir(number, Stage.ROLLOUT)) for number in (iteration, iteration + 1))
    carried = read_carried(run.layout, iteration)
    # A file from before a crash is final: judged anew, a group whose members have moved would look different.
    if not carried:
        carried = _unfinished(run, iteration, old)
        if not carried:
            return []
        write_carried(run.layout, iteration, carried)
    # First the running episodes: a trajectory that one stores from here on lands in the new folder by itself.
    await carry(iteration + 1)
    for group in carried:
        for name in group.names():
            new.take_over(old, name)
    return carried


def _unfinished(run: RunInputs, iteration: int, store: TrajectoryStore) -> list[Group]:
    """The unfinished groups, and complete ones beyond a whole iteration's worth where rollouts run ahead."""
    groups = planned_groups(run, iteration, Stage.ROLLOUT)
    complete = {group.group for group in groups if is_complete(group, store)}
    ready = [group for group in groups if group.group in complete]
    begun = updates_before(store, ready) if run.rollout.lag and len(ready) > run.rollout.groups_per_iteration else {}
    more = {group.group for group in surplus(run.rollout, groups, complete, begun, iteration=iteration)}
    return [
        # It stays with the rank that plays its episodes.
        group.model_copy(update={"iteration": group.iteration or iteration, "rank": shard, "extra": ""})
        for shard, mine in enumerate(assigned(groups, run.rollout.weights()))
        for group in mine
        if group.group not in complete or group.group in more
    ]
