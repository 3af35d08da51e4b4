"""Orders to a rank in another process: carried out in turn, ended by a newer one, and what happens when the process is lost."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from agent.models.openai_chat import Served
from flows import far_rank
from flows.far_rank import FarRank
from flows.rank_process import RankProcess
from rollouts.ranks.orders import Answer, BadOrder, Close, Ordered, Play, RankFiles, Serve
from storage.stages import Stage

SERVED = Served("policy", "demo:0003", 3, ("other",))
PLAY = Play(iteration=4, stage=Stage.ROLLOUT, round=1, served=SERVED, browsers="http://127.0.0.1:1")
Process = Callable[[str], Coroutine[Any, Any, str | None]]


class Workers:
    """Stands for the workers of the rank's process: notes what it is asked; `hold` lasts until it is let go."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.under_way = 2
        self.go = asyncio.Event()

    async def serve(self, served: Served) -> None:
        self.asked.append(served)

    async def carry(self, iteration: int) -> None:
        self.asked.append(("carry", iteration))

    async def begin_early(self, iteration: int) -> None:
        self.asked.append(("early", iteration))

    async def end_early(self) -> None:
        self.asked.append("end early")

    async def hold(self, deadline_s: float) -> None:
        try:
            await self.go.wait()
        finally:
            self.asked.append(("held", self.go.is_set()))


@pytest.fixture
def files(tmp_path: Path) -> RankFiles:
    return RankFiles(tmp_path / "ranks" / "01")


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def process(files: RankFiles, workers: Workers) -> Process:
    """Follows the orders as the rank's process does."""

    async def follow(name: str) -> str | None:
        return await RankProcess(cast(Any, None), 1, name, files, cast(Any, workers)).follow()

    return follow


async def started(files: RankFiles, process: Process) -> FarRank:
    """A rank whose process runs."""
    rank = FarRank(files, 1, process)
    rank._ended = asyncio.create_task(process(rank.name))
    return rank


async def test_each_order_is_carried_out_and_answered(files: RankFiles, process: Process, workers: Workers) -> None:
    rank = await started(files, process)
    await rank.end_early()
    await rank.carry(5)
    await rank.begin_early(5)
    workers.under_way = 3
    await rank.serve(SERVED)
    assert workers.asked == ["end early", ("carry", 5), ("early", 5), SERVED]
    assert rank.under_way == 3
    await rank.close()
    assert rank.has_ended and rank.under_way == 0
    await rank.serve(SERVED)
    assert len(workers.asked) == 4, "nothing is told to a process that has ended"


async def test_a_newer_order_ends_the_one_before(files: RankFiles, process: Process, workers: Workers) -> None:
    rank = await started(files, process)
    holding = asyncio.create_task(rank.hold(60))
    await asyncio.sleep(1.0)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await rank.close()
    assert rank.has_ended and workers.asked == [("held", False)]


async def test_a_process_without_its_place_ends(files: RankFiles, process: Process) -> None:
    rank, other = await started(files, process), FarRank(files, 1, process)
    files.tell(Ordered(rank=other.name, number=1, order=Serve(served=SERVED)))
    assert rank._ended is not None
    async with asyncio.timeout(10):
        assert await rank._ended == "another process plays shard 1, so this one ends"


async def test_a_rank_that_is_lost_while_it_plays_is_a_lost_service(files: RankFiles) -> None:
    async def lost(name: str) -> str | None:
        return "was lost with process 7 on machine-2"

    rank = FarRank(files, 1, lost)
    assert await rank.play(PLAY) == "shard 1 was lost with process 7 on machine-2 on its worker"
    told = files.order()
    assert told is not None and told.order == Close() and rank.has_ended

    async def away(name: str) -> str | None:
        raise ConnectionError("no Prefect")

    assert await FarRank(files, 1, away).play(PLAY) == (
        "shard 1 can't be followed on its worker (ConnectionError: no Prefect)"
    )


async def test_an_answer_counts_although_the_process_has_ended_since(files: RankFiles) -> None:
    async def answers(name: str) -> str | None:
        files.answer(Answer(rank=name, number=1, lost="UNREACHABLE: browsers"))
        return None

    assert await FarRank(files, 1, answers).play(PLAY) == "UNREACHABLE: browsers"


async def test_an_old_answer_is_none(files: RankFiles) -> None:
    files.answer(Answer(rank="before", number=1))

    async def ends(name: str) -> str | None:
        files.answer(Answer(rank=name, number=0))
        return None

    assert await FarRank(files, 1, ends).play(PLAY) == "shard 1 ended without an answer on its worker"


async def test_a_rank_that_does_not_answer_is_given_up(
    files: RankFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(far_rank, "ANSWER_S", 0.3)
    cancelled = asyncio.Event()

    async def deaf(name: str) -> str | None:
        try:
            return await asyncio.Event().wait() and None
        finally:
            cancelled.set()

    rank = await started(files, deaf)
    await rank.hold(0.2)
    assert cancelled.is_set() and rank.has_ended
    assert "shard 1 has not carried out hold within 0.5 s on its worker" in caplog.text


async def test_a_rank_that_does_not_close_is_cancelled(files: RankFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far_rank, "CLOSE_S", 0.2)
    rank = await started(files, lambda name: asyncio.sleep(600, None))
    await rank.close()
    assert rank.has_ended
    told = files.order()
    assert told is not None and told.order == Close()


async def test_an_order_of_another_version_is_one_sentence(files: RankFiles, process: Process) -> None:
    files.directory.mkdir(parents=True)
    (files.directory / "order.json").write_text('{"rank": "x", "number": 1, "order": {"what": "dance"}}')
    with pytest.raises(
        BadOrder, match=r"order\.json is no order that this version knows .* same version as its workers"
    ):
        await process("x")


async def test_a_rank_that_counts_as_lost_is_told_to_end(
    files: RankFiles, process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Prefect lost sight of it: it lives, and must not play beside the one that follows."""
    monkeypatch.setattr(RankProcess, "_play", lambda self, order: asyncio.sleep(600))
    lost = asyncio.Event()
    living: list[asyncio.Task[str | None]] = []

    async def watched(name: str) -> str | None:
        living.append(asyncio.create_task(process(name)))
        await lost.wait()
        return "was lost to Prefect"

    rank = FarRank(files, 1, watched)
    playing = asyncio.create_task(rank.play(PLAY))
    await asyncio.sleep(0.5)
    lost.set()
    assert await playing == "shard 1 was lost to Prefect on its worker"
    async with asyncio.timeout(10):
        await living[0]
    assert "shard 1 was lost to Prefect on its worker" in caplog.text and rank.has_ended
