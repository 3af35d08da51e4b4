"""The verdict file: what is appended is never lost and never paid for twice, and no contradiction is read."""

import asyncio
import json
from pathlib import Path

import pytest
from judge_server import JudgeServer, Said, yes
from judged_episodes import Episodes, metered, rubric_judge

from agent.types import Trajectory
from agent.verdict import Verdict
from judging.cached import Cached
from judging.verdicts import CorruptVerdicts, VerdictFile, read_verdict_file


def verdict(name: str = "a", reward: float | None = 1.0, *, key: str = "k", blocked: bool = False) -> Verdict:
    return Verdict(trajectory_id=name, reward=reward, judge="rubric", key=key, blocked=blocked)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "judge" / "verdicts.jsonl"


def test_verdicts_are_there_once_appended(path: Path) -> None:
    assert read_verdict_file(path) == []
    with VerdictFile(path) as file:
        for name in ("b", "a", "c"):
            file.append(verdict(name))
            assert read_verdict_file(path)[-1] == verdict(name)
        assert file.find("a", "rubric", "k") == verdict("a")
        assert file.find("a", "rubric", "other") is None
    with VerdictFile(path) as file:
        assert [each.trajectory_id for each in file.verdicts()] == ["b", "a", "c"]
        file.append(verdict("a"))  # the same again, after a kill between the line and its use
    assert path.read_bytes().count(b"\n") == 3


def test_a_file_cut_at_any_byte_keeps_the_complete_lines(path: Path) -> None:
    with VerdictFile(path) as file:
        file.append(verdict("a"))
        file.append(verdict("b", 0.0))
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for length in range(len(data)):
        path.write_bytes(data[:length])
        kept = [verdict("a")] if length >= first else []
        assert read_verdict_file(path) == kept
        with VerdictFile(path) as file:
            file.append(verdict("c"))
        assert read_verdict_file(path) == [*kept, verdict("c")]


def test_an_unjudged_verdict_is_superseded_and_a_decided_one_is_not(path: Path) -> None:
    with VerdictFile(path) as file:
        file.append(verdict(reward=None))
        assert file.find("a", "rubric", "k") is None
        file.append(verdict(reward=None, blocked=True))
        assert file.find("a", "rubric", "k") is not None
        with pytest.raises(CorruptVerdicts, match="a second time"):
            file.append(verdict(reward=1.0))
        file.append(verdict(reward=0.0, key="another prompt"))
    assert [each.reward for each in read_verdict_file(path)] == [None, 0.0]


def test_contradictions_and_damage_are_refused(path: Path) -> None:
    path.parent.mkdir()
    lines = [verdict(reward=1.0), verdict(reward=0.0)]
    path.write_text("".join(f"{each.model_dump_json()}\n" for each in lines))
    with pytest.raises(CorruptVerdicts, match="line 2 decides a a second time"):
        read_verdict_file(path)
    path.write_text(f"{lines[0].model_dump_json()}\n{{damaged\n{lines[0].model_dump_json()}\n")
    with pytest.raises(CorruptVerdicts, match="line 2 is no verdict"):
        VerdictFile(path)


def test_verdicts_of_older_files_still_load(path: Path) -> None:
    path.parent.mkdir()
    old = {"trajectory_id": "a", "reward": 1.0, "criteria": {}, "evidence": "", "judge": "miniwob", "blocked": False}
    path.write_text(json.dumps(old) + "\n")
    assert read_verdict_file(path) == [Verdict(trajectory_id="a", reward=1.0, judge="miniwob")]


async def test_a_budget_goes_on_where_the_killed_run_was(server: JudgeServer, episodes: Episodes, path: Path) -> None:
    server.answer = lambda question: Said("no idea")
    await judge_all(server, episodes, path, [episodes.episode(name=f"t.1-m{n}") for n in range(3)])
    with VerdictFile(path) as file:
        assert (file.used.tokens_in, file.used.tokens_out) == (3_000, 300)
        model = metered(server.url, most_tokens=3_300, used=file.used)
        judge = Cached(rubric_judge(model, episodes), file)
        assert (await judge.judge(episodes.episode(name="t.1-m0"))).unjudged == "budget"
        assert file.used.tokens_in == 3_000
    with VerdictFile(path) as file:
        assert file.used.tokens_in == 3_000
    await model.close()
    assert len(server.questions) == 3


async def judge_all(server: JudgeServer, episodes: Episodes, path: Path, many: list[Trajectory]) -> list[Verdict]:
    model = metered(server.url)
    try:
        with VerdictFile(path) as file:
            judge = Cached(rubric_judge(model, episodes), file)
            return list(await asyncio.gather(*map(judge.judge, many)))
    finally:
        await model.close()


async def test_a_second_run_makes_no_call(server: JudgeServer, episodes: Episodes, path: Path) -> None:
    many = [episodes.episode(name=f"t.1-m{member}") for member in range(4)]
    first = await judge_all(server, episodes, path, [*many, *many])
    assert len(server.questions) == 8  # two calls for each episode, though each was asked for twice at once
    assert await judge_all(server, episodes, path, [*many, *many]) == first
    assert len(server.questions) == 8
    changed = [one.model_copy(update={"task": one.task.model_copy(update={"rubric": ("Another",)})}) for one in many]
    await judge_all(server, episodes, path, changed)
    assert len(server.questions) == 16


async def test_the_unjudged_are_tried_again(server: JudgeServer, episodes: Episodes, path: Path) -> None:
    server.answer = lambda question: Said("no idea")
    one = episodes.episode()
    assert (await judge_all(server, episodes, path, [one]))[0].unjudged == "extra_text"
    server.answer = lambda question: Said(yes(question))
    assert (await judge_all(server, episodes, path, [one]))[0].reward == 1
    assert [each.reward for each in read_verdict_file(path)] == [1]


async def test_a_cancelled_caller_loses_no_verdict(server: JudgeServer, episodes: Episodes, path: Path) -> None:
    server.answer = lambda question: Said(yes(question), after_s=0.2)
    model = metered(server.url)
    with VerdictFile(path) as file:
        judge = Cached(rubric_judge(model, episodes), file)
        one = episodes.episode()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await judge.judge(one)
        assert (await judge.judge(one)).reward == 1
    await model.close()
    assert len(server.questions) == 2
