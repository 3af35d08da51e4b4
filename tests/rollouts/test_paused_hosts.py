"""The scheduler leaves a host alone that blocks visits, whatever the shard, and its episodes are never a reward of 0."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from game import ended, files_of, rank_for, running_game, use

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.types import StopReason
from benchmarks import virtual_clock
from environments.hosts import BlockingConfig
from environments.taskfiles.table import host_of
from rollouts.measures.stage_costs import wasted
from rollouts.plan import Group, assigned, planned_groups
from rollouts.shared_bounds import SharedBounds
from storage.pauses import read_pauses
from storage.stages import Stage

SHAPE = {"groups_per_iteration": 6, "group_size": 4, "concurrency": 4, "shards": 2, "completion_threshold": 1.0}
BLOCKING = BlockingConfig(pause_after=3, pause_window_s=600, pause_s=100, most_pauses=2)


def on_a_host(number: int, group: Group) -> Group:
    """Half of the tasks are on a host that may block; the others are on one that does not."""
    site = "wall.example" if number % 4 < 2 else "open.example"
    return group.model_copy(update={"task": group.task.model_copy(update={"start_url": f"https://{site}/"})})


@pytest.mark.parametrize("opens_at", [100, None])
def test_a_host_that_blocks_is_paused_for_all_shards(monkeypatch: pytest.MonkeyPatch, opens_at: float | None) -> None:
    begun: list[tuple[str, float]] = []

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        now = asyncio.get_running_loop().time
        host = host_of(slot.task.start_url)
        begun.append((host, now()))
        await asyncio.sleep(10)
        trajectory = ended(slot)
        is_open = host == "open.example" or (opens_at is not None and now() > opens_at)
        return Played(trajectory if is_open else trajectory.model_copy(update={"stop": StopReason.BLOCKED}), {})

    use(monkeypatch, play)
    with running_game(**SHAPE) as folder:

        async def both_shards() -> list[str | None]:
            bounds = SharedBounds(folder.config.rollout, 0, blocking=BLOCKING)
            groups = [on_a_host(n, one) for n, one in enumerate(planned_groups(folder.inputs, 1, Stage.ROLLOUT))]
            shards = enumerate(assigned(groups, folder.config.rollout.weights()))
            ranks = [(rank_for(folder, shard, bounds=bounds), mine) for shard, mine in shards]
            playing = [rank.play(files_of(folder, 1, rank.shard), mine, threshold=1.0) for rank, mine in ranks]
            return await asyncio.gather(*playing)

        assert virtual_clock.run(both_shards()) == [None, None]
        trajectories = list(files_of(folder, 1).store)
        pauses = read_pauses(folder.stage_dir(1, Stage.ROLLOUT))
        assert wasted(folder.stage_dir(1, Stage.ROLLOUT), [])["host_pauses"] == len(pauses) > 0
    assert len(trajectories) == 24, "each episode has its end"
    walls = sorted(at for host, at in begun if host == "wall.example")
    assert 3 <= sum(at < 100 for at in walls) <= 6, "others had begun when it was paused"
    codes = Counter(one.failure.code if one.failure else one.stop.value for one in trajectories)
    if opens_at is None:
        assert len(walls) <= 7 and codes["HOST_PAUSED"] > 0 and len(pauses) == 2
    else:
        assert codes["HOST_PAUSED"] == 0 and codes["blocked"] < 8 and {one.host for one in pauses} == {"wall.example"}
