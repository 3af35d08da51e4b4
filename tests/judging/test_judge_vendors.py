"""The same judge over the three protocols: equal verdicts, pictures that arrive, troubles that decide nothing."""

import base64
import json
from collections.abc import Callable

import pytest
from judge_server import JudgeServer, Said, yes
from judged_episodes import Episodes, rubric_judge

from agent.types import Trajectory
from agent.verdict import Verdict
from judging.endpoints.budget import Budget, Price
from judging.endpoints.metered import Metered
from judging.endpoints.openai_compatible import OpenAICompatible
from judging.endpoints.protocol import Endpoint
from judging.endpoints.vendors import AnthropicTranslator, GeminiTranslator, anthropic_judge, gemini_judge

KEY = "test-key-that-must-not-appear"
OPEN: dict[str, Callable[[str], Endpoint]] = {
    "openai": lambda url: OpenAICompatible("m", base_url=url, api_key=KEY, deadline_s=5),
    "gemini": lambda url: gemini_judge("m", key=KEY, base_url=url, deadline_s=5),
    "anthropic": lambda url: anthropic_judge("m", key=KEY, base_url=url, deadline_s=5),
}


async def verdict_of(kind: str, server: JudgeServer, episodes: Episodes, one: Trajectory) -> Verdict:
    model = Metered(OPEN[kind](server.url), Budget(price=Price(tokens_in=1)), concurrency=4)
    try:
        return await rubric_judge(model, episodes).judge(one)
    finally:
        await model.close()


async def test_the_protocols_give_the_same_verdict(server: JudgeServer, episodes: Episodes) -> None:
    one = episodes.episode(reference="42 EUR")
    verdicts = [await verdict_of(kind, server, episodes, one) for kind in OPEN]
    assert {verdict.model_copy(update={"seconds": 0}).model_dump_json() for verdict in verdicts} == {
        verdicts[0].model_copy(update={"seconds": 0}).model_dump_json()
    }
    assert (verdicts[0].reward, verdicts[0].tokens_in, verdicts[0].tokens_out) == (1.0, 2_000, 200)
    assert len({question.text for question in server.questions}) == 2  # for B and for A, each asked three times
    for body in server.bodies:
        sent = json.dumps(body)
        for data in episodes.pictures.values():
            encoded = base64.b64encode(data).decode()
            assert encoded in sent or encoded.replace("+", "-").replace("/", "_") in sent
        assert "http://127" not in sent and '"additionalProperties": false' in sent


@pytest.mark.parametrize("kind", OPEN)
@pytest.mark.parametrize(
    ("said", "unjudged"),
    [
        (Said("no", finish="refused"), "refused"),
        (Said('{"call"', finish="length"), "truncated"),
        (Said("Verdict: SUCCESS"), "extra_text"),
        (Said(""), "empty"),
        (
            Said("", status=401, raw=json.dumps({"error": {"message": f"Incorrect key {KEY}"}}).encode()),
            "misconfigured",
        ),
        (Said("", raw=b"<html>"), "unavailable"),
        (Said("", raw=b"[1]"), "unavailable"),
    ],
    ids=["refusal", "length", "words", "empty", "401", "html", "list"],
)
async def test_troubles_decide_nothing(
    server: JudgeServer, episodes: Episodes, kind: str, said: Said, unjudged: str
) -> None:
    server.answer = lambda question: said
    verdict = await verdict_of(kind, server, episodes, episodes.episode())
    assert (verdict.reward, verdict.unjudged) == (None, unjudged)
    assert KEY not in verdict.model_dump_json()


@pytest.mark.parametrize("kind", OPEN)
async def test_a_busy_vendor_is_asked_again(server: JudgeServer, episodes: Episodes, kind: str) -> None:
    busy = [Said("", status=429, headers={"retry-after": "0.1"})]
    server.answer = lambda question: busy.pop() if busy else Said(yes(question))
    assert (await verdict_of(kind, server, episodes, episodes.episode())).reward == 1


def test_any_answer_of_a_vendor_is_read() -> None:
    for translator in (AnthropicTranslator(), GeminiTranslator()):
        for answer in ({}, {"content": 1, "usage": []}, {"candidates": [{"content": {"parts": [{"text": 5}]}}]}):
            reply = translator.read(answer, 77)
            assert (reply.text, reply.tokens_in, reply.finish) == ("", 77, "other")
    refused = GeminiTranslator().read({"prompt_feedback": {"block_reason": "SAFETY"}}, 1)
    assert refused.finish == "refused"
