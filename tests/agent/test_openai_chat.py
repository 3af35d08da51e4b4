"""The chat model over a loopback server: exact tokens, every picture named, format errors told, prompts that cannot fit refused."""

import time
from collections.abc import Generator
from typing import Any

import pytest
from episode_record import TASK, EpisodeRecord
from hostile import HALF
from vendor_server import Answer as Reply
from vendor_server import Json, Vendor, running_vendor

from agent.config import AgentConfig
from agent.failures import EpisodeFailure
from agent.models.openai_chat import OpenAIChat, Served
from agent.types import Answer, Failure, Turn
from browser_service.models import ClickCoords
from telemetry.ids import bound

SERVED = Served(model="policy-1", tag=None, version=3)


@pytest.fixture
def vendor() -> Generator[Vendor]:
    with running_vendor() as server:
        yield server


def completion(text: str, *, finish: str = "stop", **message: Any) -> Reply:
    choice: Json = {
        "message": {"content": text, **message},
        "finish_reason": finish,
        "token_ids": [5, 6, 7],
        "logprobs": {"content": [{"logprob": -0.1}, {"logprob": -0.25}, {"logprob": 0.0}]},
    }
    return Reply({"choices": [choice], "prompt_token_ids": [1, 2, 3, 4]})


def config(**fields: Any) -> AgentConfig:
    defaults = {"interaction_mode": "coordinates", "profile": "qwen3-think", "image_rounds": 1}
    return AgentConfig.model_validate(defaults | fields)


async def ask(
    vendor: Vendor, record: EpisodeRecord, settings: AgentConfig, served: Served = SERVED, **options: Any
) -> Turn:
    async with OpenAIChat(settings, served, base_url=vendor.url, **options) as chat:
        return await chat.act(TASK, "Buy a lamp.", record.steps, record.page, record.pictures)


CALL = '<tool_call>{"name": "browser", "arguments": {"action": "click", "coordinate": [500, 500]}}</tool_call>'


async def test_two_rounds_of_a_thinking_model(vendor: Vendor) -> None:
    vendor.answers = [completion(f"where is it?</think>\n\nI click.\n{CALL}")]
    record = EpisodeRecord()
    first = await ask(vendor, record, config())
    assert first.action == ClickCoords(x=640, y=400)
    assert first.completion is not None
    assert (first.completion.prompt_token_ids, first.completion.token_ids) == ((1, 2, 3, 4), (5, 6, 7))
    assert (first.completion.logprobs, first.completion.policy_version) == ((-0.1, -0.25, 0.0), 3)
    assert first.completion.thoughts == "where is it?"
    assert first.completion.text.startswith("where is it?</think>")  # as it was sampled
    record.add(first)
    second = await ask(vendor, record, config())
    body = vendor.asked[1].body
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["messages"][2]["content"] == f"I click.\n{CALL}"
    assert "Result: effect 0" in body["messages"][3]["content"][1]["text"]
    assert second.completion is not None and len(second.completion.images) == 2
    assert set(second.completion.images) <= set(record.pictures)
    assert body["logprobs"] is True and body["return_token_ids"] is True


async def test_a_reasoning_parser_of_the_server_is_understood(vendor: Vendor) -> None:
    for field in ("reasoning", "reasoning_content"):  # vLLM 0.32 says reasoning, older ones reasoning_content
        vendor.answers = [completion(CALL, **{field: "where is it?"})]
        turn = await ask(vendor, EpisodeRecord(), config())
        assert turn.completion is not None and turn.completion.thoughts == "where is it?"
        assert turn.action == ClickCoords(x=640, y=400)


@pytest.mark.parametrize(
    ("text", "finish", "says"),
    [
        ("", "stop", "empty"),
        ("I wonder", "length", "cut off after 1024 tokens"),
        ("hm</think>click somewhere", "stop", "no tool call"),
        ("hm</think>" + CALL.replace("500, 500", "5000, 500"), "stop", "x and y go from 0 to 1000"),
        ("hm</think><tool_call>" + "x" * 100_000, "stop", "at most"),
    ],
)
async def test_the_model_gets_to_see_what_was_wrong(vendor: Vendor, text: str, finish: str, says: str) -> None:
    vendor.answers = [completion(text, finish=finish)]
    record = EpisodeRecord()
    turn = await ask(vendor, record, config())
    assert turn.action is None and says in (turn.format_error or "")
    record.add(turn)
    await ask(vendor, record, config())
    assert "Result: failed:" in vendor.asked[1].body["messages"][-1]["content"][1]["text"]
    assert len(str(vendor.asked[1].body)) < 60_000 + len(str(vendor.asked[0].body))  # pictures, not the 100 kB


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_half_a_character_does_not_break_the_episode(vendor: Vendor, field: str) -> None:
    vendor.answers = [completion(f'{HALF}\nanswer("{HALF}")', **{field: HALF})]
    turn = await ask(vendor, EpisodeRecord(), config(profile="generic"))
    assert turn.action == Answer(text="\ufffd")
    assert turn.completion is not None and turn.completion.thoughts == "\ufffd"
    assert Turn.model_validate_json(turn.model_dump_json()) == turn


async def test_a_goal_that_cannot_fit_is_the_policys_failure_and_the_server_is_not_asked(vendor: Vendor) -> None:
    async with OpenAIChat(config(prompt_tokens=2_000), SERVED, base_url=vendor.url) as chat:
        record = EpisodeRecord()
        with pytest.raises(EpisodeFailure) as raised:
            await chat.act(TASK, "long " * 5_000, [], record.page, record.pictures)
    failure = raised.value.failure
    assert (failure.side, failure.code, failure.retryable) == ("policy", "PROMPT_TOO_LONG", False)
    assert not vendor.asked


async def test_another_server_is_not_asked_for_tokens(vendor: Vendor) -> None:
    vendor.answers = [Reply({"choices": [{"message": {"content": 'answer("ok")'}, "finish_reason": "stop"}]})]
    turn = await ask(vendor, EpisodeRecord(), config(profile="generic"), tokens=False, api_key="sk-1")
    assert turn.action == Answer(text="ok")
    assert not {"logprobs", "return_token_ids", "top_k"} & set(vendor.asked[0].body)
    assert vendor.asked[0].headers["authorization"] == "Bearer sk-1"


async def failure_of(vendor: Vendor, settings: AgentConfig, **options: Any) -> Failure:
    with pytest.raises(EpisodeFailure) as raised:
        await ask(vendor, EpisodeRecord(), settings, **options)
    return raised.value.failure


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_an_answer_that_may_be_better_next_time_is_asked_for_again(vendor: Vendor, status: int) -> None:
    vendor.answers = [Reply({}, status), Reply({}, status, {"retry-after": "0.7"}), completion(CALL)]
    began = time.monotonic()
    turn = await ask(vendor, EpisodeRecord(), config())
    assert turn.action == ClickCoords(x=640, y=400)
    assert len(vendor.asked) == 3
    assert time.monotonic() - began >= 0.5 + 0.7  # our own pause, then the server's


@pytest.mark.parametrize("status", [502, 504])
async def test_a_door_without_a_server_behind_it_is_a_lost_service(vendor: Vendor, status: int) -> None:
    vendor.answers = [Reply(b"nobody answers behind this door", status)]
    ours = SERVED._replace(tag="demo:3")
    failure = await failure_of(vendor, config(), served=ours)
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_UNREACHABLE", True)
    assert "nobody answers behind this door" in failure.message
    assert (await failure_of(vendor, config())).code == "MODEL_ERROR", "a vendor's server is no service of this loop"


async def test_each_turn_of_each_episode_has_its_own_seed_and_keeps_it(vendor: Vendor) -> None:
    vendor.answers = [completion(CALL)]

    async def seeds_of(episode: str) -> list[int]:
        vendor.asked = []
        record = EpisodeRecord()
        with bound(trajectory=episode):
            for _ in range(2):
                record.add(await ask(vendor, record, config(seed=7)))
        return [one.body["seed"] for one in vendor.asked]

    first, other = await seeds_of("i0001-t.1-m00"), await seeds_of("i0001-t.1-m01")
    assert await seeds_of("i0001-t.1-m00") == first and len({*first, *other}) == 4
    await ask(vendor, EpisodeRecord(), config())
    assert "seed" not in vendor.asked[-1].body


async def test_a_server_that_wants_to_be_left_alone_for_longer_than_a_turn_is_not_waited_for(vendor: Vendor) -> None:
    vendor.answers = [Reply({"error": "slow down"}, 429, {"retry-after": "60"})]
    failure = await failure_of(vendor, config(completion_deadline_s=30))
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_ERROR", True)
    assert "429" in failure.message and len(vendor.asked) == 1


async def test_tries_and_pauses_count_towards_the_deadline_of_the_turn(vendor: Vendor) -> None:
    vendor.answers = [Reply({}, 503, {"retry-after": "0.4"})]
    failure = await failure_of(vendor, config(completion_deadline_s=0.6))
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_TIMEOUT", True)


async def test_a_connection_that_is_lost_is_made_again(vendor: Vendor) -> None:
    lost = Reply(b"", 0)
    vendor.answers = [lost, lost, completion(CALL)]
    assert (await ask(vendor, EpisodeRecord(), config())).action == ClickCoords(x=640, y=400)
    vendor.answers, vendor.asked = [lost], []
    failure = await failure_of(vendor, config())
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_UNREACHABLE", True)
    assert len(vendor.asked) == 3


async def test_a_refused_connection_fails_at_once() -> None:
    with running_vendor() as gone:
        pass
    failure = await failure_of(gone, config())
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_UNREACHABLE", True)


async def test_a_name_that_our_server_does_not_know_says_that_it_was_restarted(vendor: Vendor) -> None:
    vendor.answers = [Reply({"error": {"message": "The model `policy-1` does not exist."}}, 404)]
    failure = await failure_of(vendor, config(), served=SERVED._replace(tag="demo:0003"))
    assert (failure.code, failure.retryable) == ("MODEL_GONE", True)


@pytest.mark.parametrize("version", [b"[]", b"3", b"{}", b"<html>"])
async def test_a_server_that_does_not_tell_its_version_is_not_believed(vendor: Vendor, version: bytes) -> None:
    vendor.answers, vendor.version = [completion(CALL)], version
    failure = await failure_of(vendor, config(), served=SERVED._replace(tag="demo:0003"))
    assert (failure.code, failure.retryable) == ("MODEL_UNREACHABLE", True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"logprobs": {"content": [{"logprob": -0.1}, {"logprob": float("nan")}, {"logprob": 0.0}]}}, "finite number"),
        ({"logprobs": {"content": [{"logprob": -0.1}, {"logprob": -float("inf")}, {"logprob": 0.0}]}}, "finite number"),
        ({"logprobs": None}, "3 tokens and 0 log-probabilities"),
        ({"logprobs": None, "token_ids": None}, "no token ids"),
        ({"finish_reason": "abort"}, "broken off"),
        ({"finish_reason": "error"}, "broken off"),
    ],
)
async def test_what_cannot_be_trained_on_is_not_kept(vendor: Vendor, changes: Json, says: str) -> None:
    whole = completion(CALL).content
    vendor.answers = [Reply(whole | {"choices": [whole["choices"][0] | changes]})]
    failure = await failure_of(vendor, config())
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_ERROR", True)
    assert says in failure.message


async def test_without_the_prompts_tokens_nothing_can_be_trained(vendor: Vendor) -> None:
    vendor.answers = [Reply(completion(CALL).content | {"prompt_token_ids": None})]
    assert "no token ids" in (await failure_of(vendor, config())).message
    assert (await ask(vendor, EpisodeRecord(), config(), tokens=False)).action == ClickCoords(x=640, y=400)
