"""Judges that are closed while calls are in flight, as in a cancelled stage: what is paid is stored, nothing is left running."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from eventually import until
from judge_server import JudgeServer, Said, yes
from judged_episodes import Episodes
from judged_runs import asking, config_file

from agent.types import Trajectory
from agent.verdict import Verdict
from flows.settings.loop_config import load_config
from judging import cached
from judging.config import JudgeConfig
from judging.opening import ANSWERS, open_judges
from judging.verdicts import read_verdict_file


async def _no_check(trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
    raise AssertionError("the chain has no verifier")


async def cancelled_in_a_call(
    config: JudgeConfig, one: Trajectory, episodes: Episodes, server: JudgeServer, folder: Path
) -> None:
    """Cancels judging while the server has its first question."""

    async def judging() -> None:
        async with open_judges(config, _no_check, episodes.read, folder) as judge:
            await judge.judge(one)

    task = asyncio.create_task(judging())
    await until(lambda: server.questions, "the first question")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [one for one in left if "Cached" in repr(one)], "a task outlived its judges"


def model_only(tmp_path: Path, server: JudgeServer) -> JudgeConfig:
    return load_config(config_file(tmp_path, asking(server) | {"chain": ["rubric"]})).judge


async def test_a_verdict_that_is_paid_for_is_stored_although_judging_is_cancelled(
    tmp_path: Path, server: JudgeServer, episodes: Episodes
) -> None:
    server.answer = lambda question: Said(yes(question), after_s=0.2)
    one = episodes.episode()
    await cancelled_in_a_call(model_only(tmp_path, server), one, episodes, server, tmp_path)

    assert [verdict.reward for verdict in read_verdict_file(tmp_path / ANSWERS)] == [1.0]


async def test_a_call_that_never_answers_does_not_hold_up_a_cancelled_stage(
    tmp_path: Path, server: JudgeServer, episodes: Episodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "LAST_CALLS_S", 0.2)
    server.answer = lambda question: Said(yes(question), after_s=3)
    async with asyncio.timeout(2.5):
        await cancelled_in_a_call(model_only(tmp_path, server), episodes.episode(), episodes, server, tmp_path)
    assert (tmp_path / ANSWERS).read_text() == ""
