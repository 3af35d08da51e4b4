"""Judging while the rollout goes on: the same verdicts, early; nothing is asked twice, whenever it is broken off."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from judge_server import JudgeServer, Said, yes
from judged_episodes import Episodes
from judged_runs import GROUPS, MEMBERS, asking, played

from agent.types import Failure
from flows.settings.run_folder import RunFolder
from flows.stages.judge import judge_stage
from flows.stages.overlap import complete_groups, judging_meanwhile
from rollouts.measures.intervals import JUDGED, read_intervals
from storage.stages import Stage
from storage.store import TrajectoryStore
from storage.verdicts import read_verdicts

ALL = GROUPS * MEMBERS
CALLS = 2
"""Questions about one episode."""


def stored(folder: RunFolder) -> TrajectoryStore:
    return TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT))


async def judged(folder: RunFolder, count: int) -> None:
    """Returns once so many trajectories were judged meanwhile."""
    async with asyncio.timeout(20):
        while len(read_intervals(folder.stage_dir(1, Stage.JUDGE) / JUDGED)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def overlapping(tmp_path: Path, server: JudgeServer, episodes: Episodes) -> RunFolder:
    return played(tmp_path, asking(server, concurrency=2) | {"overlap": True}, episodes)


async def test_complete_groups_are_judged_while_the_others_are_played(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    folder = overlapping(tmp_path, server, episodes)
    store = stored(folder)
    last = store.read(store.ids()[-1])
    broken = store.read(store.ids()[0])
    lost = Failure(side="infra", code="BROWSER_CRASHED", message="gone", retryable=True)
    store.write(broken.model_copy(update={"failure": lost}), {})
    store.forget(last.id)
    async with judging_meanwhile(folder, 1, Stage.ROLLOUT, look_every_s=0.02):
        await judged(folder, 3)
        asked = len(server.questions)
        assert asked == 3 * CALLS, "neither the group that is played nor the broken episode"
        store.write(last, {})
        await judged(folder, 5)
    report = await judge_stage(folder, 1)
    assert len(server.questions) == 5 * CALLS, "nothing was left for the stage"
    assert report.metrics["judge_overlapped"] == 5 and report.metrics["judge_overlap_s"] > 0
    intervals = read_intervals(folder.stage_dir(1, Stage.JUDGE) / JUDGED)
    first = next(one for one in intervals if one.trajectory_id != last.id)
    assert first.ended < next(one for one in intervals if one.trajectory_id == last.id).began
    rewards = {one.trajectory_id: one.reward for one in read_verdicts(folder.stage_dir(1, Stage.JUDGE))}
    assert rewards == {name: None if name == broken.id else 1.0 for name in store.ids()}


@pytest.mark.chaos
async def test_a_stage_that_ends_waits_for_running_calls_and_begins_none(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    server.answer = lambda question: Said(yes(question), after_s=0.2)
    folder = overlapping(tmp_path, server, episodes)
    async with judging_meanwhile(folder, 1, Stage.ROLLOUT, look_every_s=0.02):
        while not server.questions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    before = len(read_intervals(folder.stage_dir(1, Stage.JUDGE) / JUDGED))
    assert before > 0
    await judge_stage(folder, 1)
    assert len(server.questions) == ALL * CALLS, "what was paid is used"


@pytest.mark.chaos
async def test_broken_off_anywhere_it_asks_for_no_verdict_twice(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    """The stage breaks at random moments, with replies that fail; each verdict that was written is final."""
    drawn = random.Random(7)

    def answer(question: object) -> Said:
        fails = drawn.random() < 0.2
        return Said("", status=400) if fails else Said(yes(question), after_s=0.01)  # ty: ignore[invalid-argument-type]

    server.answer = answer
    folder = overlapping(tmp_path, server, episodes)
    for _ in range(6):
        with pytest.raises(InterruptedError):
            async with judging_meanwhile(folder, 1, Stage.ROLLOUT, look_every_s=0.01):
                await asyncio.sleep(drawn.random() * 0.1)
                raise InterruptedError
    server.answer = lambda question: Said(yes(question))
    await judge_stage(folder, 1)
    lines = (folder.stage_dir(1, Stage.JUDGE) / "judged.jsonl").read_text().splitlines()
    decided = Counter(line.partition(",")[0] for line in lines if '"reward":1.0' in line)
    assert len(decided) == ALL and set(decided.values()) == {1}
    before = len(server.questions)
    await judge_stage(folder, 1)
    assert len(server.questions) == before


async def test_a_judge_that_is_misconfigured_costs_no_episode(
    tmp_path: Path, server: JudgeServer, episodes: Episodes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = overlapping(tmp_path, server, episodes)
    directory = folder.stage_dir(1, Stage.JUDGE)
    directory.mkdir(parents=True)
    (directory / "judged.jsonl").write_text("no verdict\n")
    async with judging_meanwhile(folder, 1, Stage.ROLLOUT, look_every_s=0.01):
        await asyncio.sleep(0.05)
    assert "nothing is judged while the episodes go on" in caplog.text and server.questions == []


async def test_it_is_off_by_default(tmp_path: Path, server: JudgeServer, episodes: Episodes) -> None:
    folder = played(tmp_path, asking(server), episodes)
    async with judging_meanwhile(folder, 1, Stage.ROLLOUT, look_every_s=0.01):
        await asyncio.sleep(0.05)
    assert server.questions == [] and len(complete_groups(folder, 1, Stage.ROLLOUT)) == ALL
