"""Utilization with known times, on a virtual clock."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from game import ended, play_rollout, rank_for, running_game, use

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from benchmarks import virtual_clock
from flows.settings.run_folder import RunFolder
from rollouts.measures.usage import ServerMeter, SlotMeter, add_usage, read_usage
from rollouts.shard_worker import ShardWorker
from rollouts.shared_bounds import SharedBounds
from storage.stages import Stage


def test_a_server_that_two_ranks_ask_in_turn_is_not_idle(tmp_path: Path) -> None:
    async def measure() -> None:
        server = ServerMeter()

        async def rank(shard: int, *, plays: float, asks_after: float, asks: float) -> None:
            with server.playing():
                await asyncio.sleep(asks_after)
                with server.asking():
                    await asyncio.sleep(asks)
                await asyncio.sleep(plays - asks_after - asks)
            add_usage(tmp_path, shard, server.take())

        await asyncio.gather(
            rank(0, plays=10, asks_after=0, asks=6),  # the two together ask from 0 to 6 and from 5 to 15, of 20 seconds
            rank(1, plays=20, asks_after=5, asks=10),
        )

    virtual_clock.run(measure())
    usage = read_usage(tmp_path)
    assert (usage.server_seconds, usage.server_idle_seconds) == (20, 5)
    assert usage.metrics() == {"server_idle_share": 0.25}


def test_nothing_is_measured_between_stages() -> None:
    async def measure() -> tuple[float, float]:
        server = ServerMeter()
        with server.playing():
            await asyncio.sleep(1)
        await asyncio.sleep(50)
        with server.asking():  # a carried-over episode
            await asyncio.sleep(50)
        usage = server.take()
        return usage.server_seconds, usage.server_idle_seconds

    assert virtual_clock.run(measure()) == (1, 1)


def test_slots_that_are_busy_and_idle() -> None:
    async def measure() -> dict[str, float]:
        meter = SlotMeter(4)
        meter.start()
        await asyncio.sleep(6)
        meter.note(running=4, queued=3)
        await asyncio.sleep(2)
        meter.note(running=2, queued=1)
        await asyncio.sleep(4)
        meter.note(running=1, queued=0)
        return meter.stop().metrics()

    assert virtual_clock.run(measure()) == pytest.approx(
        {"slots_idle_share": 1 - 32 / 48, "slots_busy_while_queued": 28 / 32}
    )


@pytest.mark.parametrize(("shards", "idle"), [(1, 0.25), (2, 0.25)])
def test_ranks_measure_what_their_episodes_ask(monkeypatch: pytest.MonkeyPatch, shards: int, idle: float) -> None:
    """Episodes that look at a page for a second and ask for a turn for three, all at the same times."""

    async def act(*asked: Any) -> None:
        await asyncio.sleep(3)

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        await asyncio.sleep(1)
        await setup.policy.act(*cast(Any, [None] * 5))
        return Played(ended(slot), {})

    async def stage(folder: RunFolder) -> None:
        bounds = SharedBounds(folder.config.rollout, 0)
        policy = SimpleNamespace(act=act)
        ranks: list[ShardWorker] = [rank_for(folder, shard, bounds=bounds, policy=policy) for shard in range(shards)]
        assert await play_rollout(folder, 1, ranks) == [None] * shards

    use(monkeypatch, play)
    shape = {"groups_per_iteration": 2, "group_size": 2, "concurrency": shards, "completion_threshold": 1.0}
    with running_game(**shape, shards=shards) as folder:
        virtual_clock.run(stage(folder))
        metrics = read_usage(folder.stage_dir(1, Stage.ROLLOUT)).metrics()
    assert metrics["server_idle_share"] == pytest.approx(idle)
    assert metrics["slots_idle_share"] == pytest.approx(0)
