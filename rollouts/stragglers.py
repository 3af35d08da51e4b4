"""Treatment of groups that are unfinished when a rollout ends: carried over to the next iteration, or stored as failed.

    iterations/0003/rollout/carried.jsonl     the groups that iteration 4 continues, in the format of plan.jsonl

The decision is written first. Then the finished members of a carried-over group move to the next iteration's folder, so
that a group is judged and learned from as a whole, once. A resume completes the move after a crash in between; episodes
that were running are then played again from their start.
"""

from collections.abc import Callable

from rollouts.board import Board
from rollouts.inputs import RunInputs
from rollouts.plan import Group, assigned, planned_groups, read_carried, write_carried
from storage.stages import Stage
from storage.store import TrajectoryStore


def threshold_of(run: RunInputs, iteration: int, stage: Stage) -> float:
    """Share of a stage's groups that must be complete before it may end without the rest."""
    config = run.rollout
    if stage is not Stage.ROLLOUT:
        # Without a successor to carry groups to, ending early would lose them, so the stage waits for all.
        return 1.0
    return 1.0 if config.stragglers == "carry_over" and not carries(run, iteration) else config.completion_threshold


def carries(run: RunInputs, iteration: int) -> bool:
    """True if an iteration leaves unfinished groups to the next one. The last one has no next, and workers wait for all
    groups: a worker process ends with its share of the stage, which would waste its running episodes."""
    config = run.rollout
    return config.stragglers == "carry_over" and config.ranks == "here" and iteration < run.settings.iterations


def unfinished_shards(run: RunInputs, iteration: int, stage: Stage) -> dict[int, list[Group]]:
    """The shards that have unfinished work, with their groups."""
    config = run.rollout
    # Killed stragglers are stored too, so `kill` is over only when no trajectory is missing.
    threshold = threshold_of(run, iteration, stage) if carries(run, iteration) else 1.0
    store = TrajectoryStore(run.layout.stage_dir(iteration, stage))
    shards = {}
    for shard, mine in enumerate(assigned(planned_groups(run, iteration, stage), config.weights())):
        done = {name for group in mine for name in group.names() if store.has(name)}
        if not Board(config, mine, done=done, threshold=threshold).is_enough:
            shards[shard] = mine
    return shards


def carry_over(run: RunInputs, iteration: int, carry: Callable[[int], None]) -> list[Group]:
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
    carry(iteration + 1)
    for group in carried:
        for name in group.names():
            new.take_over(old, name)
    return carried


def _unfinished(run: RunInputs, iteration: int, store: TrajectoryStore) -> list[Group]:
    shards = assigned(planned_groups(run, iteration, Stage.ROLLOUT), run.rollout.weights())
    return [
        # It stays with the rank that plays its episodes.
        group.model_copy(update={"iteration": group.iteration or iteration, "rank": shard, "extra": ""})
        for shard, mine in enumerate(shards)
        for group in mine
        if not all(store.has(name) for name in group.names())
    ]
