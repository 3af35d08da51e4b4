"""A vendor that answers 401, 429, 500, garbage or never; and a translator that meets any JSON. Keys are never repeated."""

import json
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from episode_record import TASK, EpisodeRecord
from hostile import HALF, nested, values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from vendor_server import Answer as Reply
from vendor_server import Json, Vendor, running_vendor

from agent.config import AgentConfig
from agent.failures import EpisodeFailure
from agent.model_config import AnthropicComputer, ChatModel, GeminiComputer, OpenAIComputer, ScriptedSolution
from agent.models.anthropic_computer import TOOLSET, AnthropicComputerTranslator
from agent.models.computer import Scene, Translator, told_again
from agent.models.gemini_computer import GeminiComputerTranslator
from agent.models.openai_chat import Served
from agent.models.openai_computer import OpenAIComputerTranslator
from agent.models.opening import check_model, open_model
from agent.models.tool_arguments import View
from agent.models.vendors import ModelUnavailable
from agent.storable import load_json
from agent.types import Completion, Failure, Step, Turn
from browser_service.models import TypeText, Viewport

KEY = "test-key-that-must-not-appear"
SERVED = Served(model="none", tag=None, version=None)
KINDS: dict[str, Callable[[str], Any]] = {
    "openai": lambda url: OpenAIComputer(model="m", base_url=url, api_key_env="TEST_MODEL_KEY"),
    "gemini": lambda url: GeminiComputer(model="m", base_url=url, api_key_env="TEST_MODEL_KEY"),
    "anthropic": lambda url: AnthropicComputer(model="m", base_url=url, api_key_env="TEST_MODEL_KEY"),
    "chat": lambda url: ChatModel(model="m", base_url=url, api_key_env="TEST_MODEL_KEY"),
}
TRANSLATORS: list[Translator] = [
    OpenAIComputerTranslator("m"),
    GeminiComputerTranslator("m"),
    AnthropicComputerTranslator("m", TOOLSET),
    AnthropicComputerTranslator("m", "computer_20251124"),
]


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Generator[Vendor]:
    monkeypatch.setenv("TEST_MODEL_KEY", KEY)
    with running_vendor() as server:
        yield server


async def failure_of(kind: str, vendor: Vendor, *, deadline_s: float = 20) -> Failure:
    config = AgentConfig(model=KINDS[kind](vendor.url), completion_deadline_s=deadline_s)
    record = EpisodeRecord(size=(64, 40))
    async with open_model(config, served=SERVED, uds=None, solve=None) as policy:
        began = time.monotonic()
        with pytest.raises(EpisodeFailure) as raised:
            await policy.act(TASK, "goal", [], record.page, record.pictures)
        assert time.monotonic() - began < deadline_s + 15  # a vendor that says nothing does so for longer
    assert KEY not in str(raised.value)
    return raised.value.failure


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "side", "retryable"),
    [
        (Reply({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401), "infra", False),
        (Reply({"error": {"message": "bad request"}}, 400), "infra", False),
        (Reply(b"<html>teapot</html>"), "infra", True),
        (Reply(b"[1, 2]"), "infra", True),
        (Reply(b""), "infra", True),
        (Reply(b"[" * 100_000), "infra", True),
    ],
    ids=["401", "400", "html", "list", "empty", "bottomless"],
)
async def test_a_vendor_that_refuses_or_babbles(
    vendor: Vendor, kind: str, answer: Reply, side: str, retryable: bool
) -> None:
    vendor.answers = [answer]
    failure = await failure_of(kind, vendor)
    assert (failure.side, failure.retryable) == (side, retryable)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "API key not valid. Please pass a valid API key."),
        (400, "Unsupported parameter: 'max_tokens' is not supported with this model."),
        (400, "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens"),
        (400, "Safety checks of call_1 were not acknowledged."),
        (404, "The model `m` does not exist or you do not have access to it."),
        (422, "Extra inputs are not permitted"),
    ],
)
async def test_a_request_that_the_server_cannot_take_is_not_the_policys_fault(
    vendor: Vendor, kind: str, status: int, says: str
) -> None:
    vendor.answers = [Reply({"error": {"message": says, "code": status}}, status)]
    failure = await failure_of(kind, vendor)
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_REFUSED", False)
    assert says[:20] in failure.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "says", "code"),
    [
        (
            400,
            "This model's maximum context length is 4096 tokens. However, you requested 1024 output tokens",
            "TOO_LONG",
        ),
        (400, "prompt is too long: 215000 tokens > 200000 maximum", "TOO_LONG"),
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "TOO_LONG"),
        (400, "Your request was rejected as a result of our safety system.", "REFUSED"),
        (400, "Output blocked by content filtering policy", "REFUSED"),
        (422, "too many tokens in the prompt", "TOO_LONG"),
        (413, "Request exceeds the maximum size", "TOO_LONG"),
    ],
)
async def test_a_prompt_that_is_too_long_or_against_a_policy_is_the_policys_fault(
    vendor: Vendor, kind: str, status: int, says: str, code: str
) -> None:
    vendor.answers = [Reply({"error": {"message": says, "code": status}}, status)]
    failure = await failure_of(kind, vendor)
    assert (failure.side, failure.code, failure.retryable) == ("policy", f"PROMPT_{code}", False)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_vendor_that_is_overloaded(vendor: Vendor, kind: str) -> None:
    headers = {"retry-after": "0.05", "retry-after-ms": "50"}
    vendor.answers = [Reply({"error": {"message": "slow down", "code": 429}}, 429, headers)]
    failure = await failure_of(kind, vendor)
    assert (failure.side, failure.retryable) == ("infra", True)
    assert "429" in failure.message
    assert len(vendor.asked) == 3  # the SDKs try twice more, and so do we


@pytest.mark.parametrize("kind", KINDS)
async def test_a_vendor_that_never_answers(vendor: Vendor, kind: str) -> None:
    vendor.answers = [Reply({}, after_s=30)]
    failure = await failure_of(kind, vendor, deadline_s=0.5)
    assert (failure.side, failure.retryable) == ("infra", True)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_vendor_that_drips(vendor: Vendor, kind: str) -> None:
    vendor.answers = [Reply({"choices": [], "output": [], "more": "x" * 200}, drips_s=0.2)]  # no single read takes long
    failure = await failure_of(kind, vendor, deadline_s=0.5)
    assert (failure.side, failure.code, failure.retryable) == ("infra", "MODEL_TIMEOUT", True)


def answer_with(kind: str, call: Json) -> Json:
    """An answer of this vendor with one call in it."""
    if kind == "openai":
        return {"id": "r", "output": [{"type": "computer_call", "call_id": "c", "actions": [call]}]}
    return {"id": "r", "content": [{"type": "tool_use", "id": "c", "name": call["type"], "input": call}]}


async def turn_of(kind: str, vendor: Vendor, call: Json) -> Turn:
    """The turn that becomes of a call, stored and read back."""
    vendor.answers = [Reply(answer_with(kind, call))]
    record = EpisodeRecord(size=(64, 40))
    async with open_model(AgentConfig(model=KINDS[kind](vendor.url)), served=SERVED, uds=None, solve=None) as policy:
        turn = await policy.act(TASK, "goal", [], record.page, record.pictures)
    assert Turn.model_validate_json(turn.model_dump_json()) == turn
    return turn


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_half_a_character_does_not_break_the_episode(vendor: Vendor, kind: str) -> None:
    turn = await turn_of(kind, vendor, {"type": "type", "text": f"a{HALF}", HALF: HALF})
    assert turn.action == TypeText(value="a\ufffd")


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_an_infinite_number_is_feedback_for_the_model(vendor: Vendor, kind: str) -> None:
    number = 10**400
    call = {"x": number, "y": 1, "coordinate": [number, 1], "button": "left"}
    turn = await turn_of(kind, vendor, {"type": "click" if kind == "openai" else "left_click", **call})
    assert turn.action is None
    assert "must be a number, found 1000" in (turn.format_error or "")


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_an_answer_without_bottom_is_an_infrastructure_failure(vendor: Vendor, kind: str) -> None:
    vendor.answers = [Reply(answer_with(kind, {"type": "type", "text": nested(150)}))]
    failure = await failure_of(kind, vendor)
    assert (failure.side, failure.code) == ("infra", "MODEL_ERROR")
    assert "nested too deeply" in failure.message


LONGEST: dict[str, Callable[[Json], int]] = {
    "openai": lambda body: body["max_output_tokens"],
    "gemini": lambda body: body["generationConfig"]["maxOutputTokens"],
    "anthropic": lambda body: body["max_tokens"],
    "chat": lambda body: body["max_tokens"],
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_vendors_reply_has_room_for_hidden_reasoning(vendor: Vendor, kind: str) -> None:
    vendor.answers = [Reply({}, 400)]
    await failure_of(kind, vendor)
    assert LONGEST[kind](vendor.asked[0].body) == (1_024 if kind == "chat" else 8_192)


async def test_summaries_of_openais_reasoning_are_asked_for_unless_they_are_switched_off(vendor: Vendor) -> None:
    vendor.answers = [Reply(answer_with("openai", {"type": "wait"}))]
    record = EpisodeRecord(size=(64, 40))
    for summaries in (True, False):
        model = KINDS["openai"](vendor.url).model_copy(update={"summaries": summaries})
        async with open_model(AgentConfig(model=model), served=SERVED, uds=None, solve=None) as policy:
            await policy.act(TASK, "goal", [], record.page, record.pictures)
    assert [asked.body.get("reasoning") for asked in vendor.asked] == [{"summary": "auto"}, None]


def test_what_is_missing_is_said_before_anything_starts() -> None:
    with pytest.raises(ModelUnavailable, match="environment variable TEST_MODEL_KEY, which is not set"):
        check_model(KINDS["openai"]("http://a"), {})
    assert check_model(KINDS["openai"]("http://a"), {"TEST_MODEL_KEY": KEY}) == "openai_computer m"
    assert check_model(ScriptedSolution(), {}) == "scripted"


@pytest.mark.parametrize("field", [{"api_key_env": KEY}, {"base_url": f"http://user:{KEY}@host/"}])
def test_a_key_in_the_configuration_is_refused_without_repeating_it(field: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as raised:
        OpenAIComputer.model_validate({"model": "m", **field})
    assert all(KEY not in str(error.get("ctx")) for error in raised.value.errors())  # what `load_config` prints of it


NAMES = st.sampled_from(
    ["click", "type", "scroll", "drag", "key", "zoom", "left_click", "drag_and_drop", "computer", "goto", "hotkey"]
)
ARGUMENTS = st.sampled_from(
    ["x", "y", "text", "path", "keys", "coordinate", "region", "direction", "action", "button", "url", "repeat"]
)
arguments = st.dictionaries(ARGUMENTS, values | st.integers(-5, 2_000) | NAMES, max_size=5) | values


@st.composite
def answers(draw: st.DrawFn) -> Json:
    """Answers that are nearly in the form of some vendor, or in none, as they come out of the SDKs."""
    inner = draw(arguments)
    call = {"name": draw(NAMES), "args": inner, "id": draw(values)}
    block = {"type": "tool_use", "id": draw(st.text(max_size=3)), "name": draw(NAMES), "input": inner}
    action = {"type": draw(NAMES), **(inner if isinstance(inner, dict) else {})}
    item = {"type": "computer_call", "call_id": "c", "actions": draw(st.just([action]) | values)}
    shapes = [
        {"candidates": [{"content": {"parts": [{"function_call": call}, draw(values)]}}]},
        {"candidates": draw(values), "prompt_feedback": draw(values)},
        {"content": [block, draw(values)], "stop_reason": draw(values)},
        {"output": [item, draw(values)], "status": draw(values)},
        {"content": draw(values), "output": draw(values)},
    ]
    return load_json(json.dumps(draw(st.sampled_from(shapes))))


@given(answers())
def test_any_answer_becomes_moves_or_a_sentence_and_can_be_in_the_history(raw: Json) -> None:
    record = EpisodeRecord(size=(64, 40))
    for translator in TRANSLATORS:
        said = translator.read(raw, View(Viewport(width=1280, height=800), 64, 40))
        assert said.moves or said.error
        for move in said.moves:
            assert (move.action is None) == bool(move.error)
            point = getattr(move.action, "x", 0), getattr(move.action, "y", 0)
            assert 0 <= point[0] < 1280 and 0 <= point[1] < 800
        first = said.moves[0] if said.moves else None
        step = Step(
            index=0,
            observation=record.page,
            completion=Completion(text="", raw=raw),
            action=first.action if first else None,
            feedback=(first.error if first else said.error),
        )
        Step.model_validate_json(step.model_dump_json())
        rounds = told_again([step], record.page, translator.read)
        scene = Scene("goal", record.page, rounds, record.page, record.pictures, 1, 100)
        if not (first and first.action and len(said.moves) > 1):  # otherwise the reply is not used up yet
            asked = translator.request(scene)
            assert asked == translator.request(scene)  # pure
