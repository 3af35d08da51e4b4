"""A rank under faults: bugs, a full disk, a stop, a carry-over in the middle. On a virtual clock."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from game import ended, failures, files_of, play_rollout, rank_for, running_game, stored, use

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.models.openai_chat import Served
from benchmarks import virtual_clock
from flows.settings.run_folder import RunFolder
from flows.stages.stage_inputs import stage_inputs
from rollouts.inputs import StageInputs
from rollouts.measures.stage_costs import wasted
from rollouts.model_queue import ASK_EVERY_S, ModelQueue
from rollouts.shard_workers import ShardWorkers
from rollouts.shared_bounds import SharedBounds
from storage.episode_phases import BEAT_S, read_live
from storage.stages import Stage

SHAPE = {"groups_per_iteration": 2, "group_size": 2, "concurrency": 4, "completion_threshold": 1.0}


@pytest.fixture(autouse=True)
def no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


def playing(
    for_seconds: Callable[[EpisodeKey], float] = lambda slot: 10.0,
    code: Callable[[EpisodeKey], str | None] = lambda slot: None,
):
    """Episodes that take so long and end like this."""

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        with_what["watch"].tell("model", 0)
        await asyncio.sleep(for_seconds(slot))
        return Played(ended(slot, code(slot)), {})

    return play


@pytest.mark.parametrize(
    "bug", [KeyError("on purpose"), TimeoutError("on purpose"), ConnectionResetError("on purpose")]
)
def test_a_bug_in_one_episode_is_its_own_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, bug: Exception
) -> None:
    seen: list[str] = []

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        await asyncio.sleep(1)
        seen.append(slot.trajectory_id)
        if slot.trajectory_id == min(seen):
            raise bug
        return Played(ended(slot), {})

    use(monkeypatch, play)
    with running_game(**SHAPE | {"concurrency": 1}) as folder, caplog.at_level(logging.ERROR):
        assert virtual_clock.run(play_rollout(folder, 1, [rank_for(folder)])) == [None], "no service is lost"
        trajectories = list(files_of(folder, 1).store)
        noted = failures(folder, 1)
    (broken,) = [one for one in trajectories if one.failure]
    assert len(trajectories) == 4 and broken.failure is not None and broken.attempt == 3
    assert (broken.failure.side, broken.failure.code) == ("infra", "BUG")
    assert broken.failure.message == f"{type(bug).__name__}: {bug}"
    assert [(one.failure.code, one.attempt) for one in noted] == [("BUG", 1), ("BUG", 2), ("BUG", 3)]
    assert all(one.seconds == pytest.approx(1) for one in noted)
    assert "Traceback" in caplog.text


def test_a_full_disk_stops_the_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        raise OSError(28, "No space left on device")

    use(monkeypatch, play)
    with running_game(**SHAPE) as folder:
        assert virtual_clock.run(play_rollout(folder, 1, [rank_for(folder)])) == [
            "OSError: [Errno 28] No space left on device"
        ]
        assert not files_of(folder, 1).store.ids()


def test_what_a_stop_throws_away_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stopped(folder: RunFolder) -> None:
        rank = rank_for(folder)
        stage = asyncio.create_task(play_rollout(folder, 1, [rank]))
        await asyncio.sleep(30)
        stage.cancel()
        await rank.stop()
        await rank.stop()
        assert not rank.under_way
        await asyncio.sleep(1)  # the last change of a burst is written after a while

    use(monkeypatch, playing(lambda slot: 5 if slot.member == 0 else 100))
    with running_game(**SHAPE) as folder:
        virtual_clock.run(stopped(folder))
        noted = failures(folder, 1)
        assert [(one.failure.code, one.attempt, round(one.seconds)) for one in noted] == [("ABANDONED", 1, 30)] * 2
        assert wasted(folder.stage_dir(1, Stage.ROLLOUT), [])["wasted_s"] == pytest.approx(60)
        assert not read_live(folder.stage_dir(1, Stage.ROLLOUT))[0].episodes


def test_a_straggler_that_waits_for_its_next_try_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    straggler: list[str] = []

    def code(slot: EpisodeKey) -> str | None:
        straggler.append(slot.trajectory_id)
        return "BROWSER_CRASHED" if slot.trajectory_id == straggler[0] else None

    monkeypatch.setattr("rollouts.tries.PAUSE_S", 20)
    use(monkeypatch, playing(lambda slot: 1, code))
    shape = SHAPE | {"completion_threshold": 0.5, "stragglers": "kill", "completion_grace_period": 5}
    with running_game(**shape) as folder:
        virtual_clock.run(play_rollout(folder, 1, [rank_for(folder)]))
        assert [one.failure.code for one in failures(folder, 1)] == ["BROWSER_CRASHED"]
        codes = {one.id: one.failure.code for one in files_of(folder, 1).store if one.failure}
    assert codes == {straggler[0]: "STRAGGLER"}


def test_attempts_are_counted_on_over_a_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The straggler breaks before its iteration's end, after it, and in the next rollout."""
    straggler: list[str] = []

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        straggler.append(slot.trajectory_id)
        await asyncio.sleep(5)
        if slot.trajectory_id != straggler[0]:
            return Played(ended(slot), {})
        await asyncio.sleep(60 if slot.attempt in (2, 3) else 0)
        return Played(ended(slot, "BROWSER_CRASHED" if slot.attempt < 4 else None), {})

    async def two(folder: RunFolder) -> None:
        rank = rank_for(folder)
        await play_rollout(folder, 1, [rank])
        await asyncio.sleep(50)
        await play_rollout(folder, 2, [rank])
        await rank.stop()

    use(monkeypatch, play)
    shape = SHAPE | {"groups_per_iteration": 8, "completion_threshold": 0.8, "max_attempts": 5}
    with running_game(**shape | {"group_size": 4}) as folder:
        virtual_clock.run(two(folder))
        noted = [(number, one.attempt) for number in (1, 2) for one in failures(folder, number)]
        (kept,) = [one for trajectories in stored(folder).values() for one in trajectories if one.attempt > 1]
    assert noted == [(1, 1), (2, 2), (2, 3)] and kept.attempt == 4


def test_an_episode_that_is_carried_between_two_tries_is_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    straggler: list[str] = []

    def code(slot: EpisodeKey) -> str | None:
        straggler.append(slot.trajectory_id)
        return "BROWSER_CRASHED" if straggler.count(straggler[0]) == 1 and slot.trajectory_id == straggler[0] else None

    async def one(folder: RunFolder) -> None:
        rank = rank_for(folder)
        await play_rollout(folder, 1, [rank])
        assert rank.under_way == {straggler[0]} and asyncio.get_running_loop().time() < 30
        await asyncio.sleep(60)

    monkeypatch.setattr("rollouts.tries.PAUSE_S", 1_000)
    use(monkeypatch, playing(lambda slot: 5, code))
    with running_game(**SHAPE | {"completion_threshold": 0.5}) as folder:
        virtual_clock.run(one(folder))
        assert files_of(folder, 2).store.read(straggler[0]).attempt == 2


def test_a_carried_episode_is_live_in_the_new_stage_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(folder: RunFolder) -> None:
        rank = rank_for(folder)
        one, two = (folder.stage_dir(number, Stage.ROLLOUT) for number in (1, 2))
        await play_rollout(folder, 1, [rank])
        reported = read_live(two)[0].episodes
        assert set(reported) == rank.under_way and len(reported) == 1 and not read_live(one)[0].episodes
        still = read_live(one)[0].at
        stage = asyncio.create_task(play_rollout(folder, 2, [rank]))
        await asyncio.sleep(1)
        assert reported.items() <= read_live(two)[0].episodes.items(), "its phase goes on"
        await asyncio.sleep(1_000)
        await stage
        assert not rank.under_way and not read_live(two)[0].episodes
        over = read_live(two)[0].at
        await asyncio.sleep(5 * BEAT_S)
        assert (read_live(one)[0].at, read_live(two)[0].at) == (still, over), "nobody writes what is over"

    shape = SHAPE | {"completion_threshold": 0.5}
    taken: list[str] = []

    def seconds(slot: EpisodeKey) -> float:
        taken.append(slot.trajectory_id)
        return 300.0 if len(taken) == 1 else 10.0

    use(monkeypatch, playing(seconds))
    with running_game(**shape) as folder:
        virtual_clock.run(two(folder))


def test_a_rank_that_gets_no_browser_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Carried episodes hold all of them for five minutes."""

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        await asyncio.sleep(60)
        free = asyncio.get_running_loop().time() > 300
        return Played(ended(slot, None if free else "NO_CAPACITY"), {})

    use(monkeypatch, play)
    with running_game(**SHAPE) as folder:
        assert virtual_clock.run(play_rollout(folder, 1, [rank_for(folder)])) == [None]
        assert all(one.failure is None and one.attempt > 3 for one in files_of(folder, 1).store)


def test_no_episode_begins_while_the_model_server_has_too_many_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []

    async def play(slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(7)
        return Played(ended(slot), {})

    async def ask() -> int | None:
        now = asyncio.get_running_loop().time()
        return None if now > 60 else 5 if 5 < now < 30 else 4

    async def stage(folder: RunFolder) -> None:
        bounds = SharedBounds(folder.config.rollout, 0, ModelQueue(4, ask))
        assert await play_rollout(folder, 1, [rank_for(folder, bounds=bounds)]) == [None]
        await asyncio.sleep(5 * ASK_EVERY_S)
        assert len(asyncio.all_tasks()) == 1, "nobody asks when nobody plays"

    use(monkeypatch, play)
    with running_game(**SHAPE | {"groups_per_iteration": 8}) as folder:
        virtual_clock.run(stage(folder))
    # At 7 s one of four slots is filled again, for one episode always may be played; the others at the first answer after 30 s.
    assert begun == pytest.approx([0] * 4 + [7, 14, 21, 28] + [30] * 3 + [35] + [37] * 3 + [42], abs=0.01)


def inputs_of(folder: RunFolder) -> StageInputs:
    return stage_inputs(folder, Stage.ROLLOUT, Served("game", None, 0), "http://browsers")


def test_all_ranks_of_a_run_in_one_process_have_the_same_bounds() -> None:
    with running_game(**SHAPE, shards=3, limits={"model": 1}) as folder:
        workers, inputs = ShardWorkers(folder.inputs), inputs_of(folder)
        with workers.bounds(inputs, 0) as first, workers.bounds(inputs, 2) as second:
            assert first is second
        with workers.bounds(inputs, 1) as later:
            assert later is not first, "they end with the last rank"


def test_workers_have_their_parts_also_where_they_share_a_process() -> None:
    with running_game(**SHAPE, shards=2, ranks="workers") as folder:
        workers, inputs = ShardWorkers(folder.inputs), inputs_of(folder)
        with workers.bounds(inputs, 0) as first, workers.bounds(inputs, 1) as second:
            assert first is not second
