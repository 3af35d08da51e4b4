"""A judge's server that is slow, busy, broken or too dear: no trouble becomes a verdict."""

import asyncio
import threading

import pytest
from judge_server import JudgeServer, Question, Said, yes
from judged_episodes import Episodes, metered, rubric_judge

from agent.types import Trajectory
from agent.verdict import Verdict
from judging.endpoints.openai_compatible import OpenAICompatible
from judging.endpoints.protocol import EndpointError


async def verdict_on(server: JudgeServer, episodes: Episodes, one: Trajectory) -> Verdict:
    model = metered(server.url)
    try:
        return await rubric_judge(model, episodes).judge(one)
    finally:
        await model.close()


async def test_a_spent_budget_stops_all_further_calls(server: JudgeServer, episodes: Episodes) -> None:
    model = metered(server.url, most_tokens=5_000)
    judge = rubric_judge(model, episodes)
    verdicts = [await judge.judge(episodes.episode(name=f"t.1-m{member}")) for member in range(6)]
    await model.close()
    assert [verdict.unjudged for verdict in verdicts] == ["", "", "budget", "budget", "budget", "budget"]
    assert "budget of 5000 tokens is spent (5500 used); raise it and resume" in verdicts[-1].evidence
    assert len(server.questions) == 5
    assert verdicts[2].tokens_in == 1_000  # a call that was made is counted, though it did not lead to a verdict


@pytest.mark.parametrize(
    ("said", "unjudged"),
    [
        (Said("", status=500), "unavailable"),
        (Said("", status=401), "misconfigured"),
        (Said("", status=429, headers={"retry-after": "60"}), "unavailable"),
        (Said("", raw=b"<html>"), "unavailable"),
        (Said("", raw=b"{}"), "unavailable"),
        (Said("", raw=b"[" * 100_000), "unavailable"),
        (Said("", after_s=3), "timeout"),
        (Said("I can't help with that.", finish="refused"), "refused"),
        (Said("{", finish="length"), "truncated"),
    ],
    ids=["500", "401", "429", "html", "empty", "bottomless", "silence", "refusal", "length"],
)
async def test_a_judge_in_trouble_decides_nothing(
    server: JudgeServer, episodes: Episodes, said: Said, unjudged: str
) -> None:
    server.answer = lambda question: said
    model = metered(server.url, deadline_s=2)
    verdict = await rubric_judge(model, episodes).judge(episodes.episode())
    await model.close()
    assert (verdict.reward, verdict.unjudged) == (None, unjudged)
    assert (verdict.tokens_in > 0) == (unjudged in ("timeout", "refused", "truncated"))
    assert model.budget.used.tokens_in == verdict.tokens_in


async def test_a_busy_judge_is_asked_again_after_its_pause(server: JudgeServer, episodes: Episodes) -> None:
    busy = [Said("", status=429, headers={"retry-after": "0.1"}), Said("", status=503, headers={"retry-after": "0"})]
    server.answer = lambda question: busy.pop() if busy else Said(yes(question))
    assert (await verdict_on(server, episodes, episodes.episode())).reward == 1


async def test_a_server_without_schemas_is_asked_without(server: JudgeServer, episodes: Episodes) -> None:
    server.rejects = lambda body: "unknown field response_format" if "response_format" in body else ""
    assert (await verdict_on(server, episodes, episodes.episode())).reward == 1
    assert ["response_format" in body for body in server.bodies] == [True, False, False]


async def test_a_key_is_never_repeated(server: JudgeServer) -> None:
    server.rejects = lambda body: "Incorrect API key: test-key-of-a-judge"
    endpoint = OpenAICompatible("m", base_url=server.url, api_key="test-key-of-a-judge")
    with pytest.raises(EndpointError) as raised:
        await endpoint.ask("s", ["t"], {})
    await endpoint.close()
    assert "test-key" not in str(raised.value) and raised.value.trouble == "misconfigured"


async def test_calls_at_once_are_limited(server: JudgeServer, episodes: Episodes) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def answer(question: Question) -> Said:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.02)
        with lock:
            now -= 1
        return Said(yes(question))

    server.answer = answer
    model = metered(server.url, concurrency=3)
    judge = rubric_judge(model, episodes)
    verdicts = await asyncio.gather(*(judge.judge(episodes.episode(name=f"t.1-m{n}")) for n in range(9)))
    await model.close()
    assert [verdict.reward for verdict in verdicts] == [1.0] * 9
    assert 1 < most <= 3
