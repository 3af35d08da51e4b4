"""Gemini's computer use through the real SDK, in both vocabularies, against a loopback server that checks what Google checks."""

import base64
from collections.abc import AsyncGenerator, Generator
from itertools import pairwise
from typing import Any

import pytest
from episode_record import EpisodeRecord
from vendor_server import Answer as Reply
from vendor_server import Json, Vendor, running_vendor

from agent.models.computer import ComputerModel
from agent.models.gemini_computer import GeminiComputerTranslator
from agent.models.tool_arguments import View
from agent.models.vendors import open_gemini
from agent.types import AgentAction, Answer, SafetyDecision
from browser_service import models as wire

SIGNATURE = base64.b64encode(bytes(range(250, 256)) + b"signed").decode()
"""Has characters that the two alphabets of base64 write differently."""


@pytest.fixture
def vendor() -> Generator[Vendor]:
    with running_vendor() as server:
        server.check = check
        yield server


@pytest.fixture
async def policy(vendor: Vendor) -> AsyncGenerator[ComputerModel]:
    client = open_gemini("AIza-test", vendor.url, 20)
    async with ComputerModel(GeminiComputerTranslator("gemini-x"), client, rounds_with_pictures=1, max_tokens=500) as m:
        yield m


def check(body: Json) -> str | None:
    """The API's error: for calls without an answer each, lost signatures, unacknowledged confirmations."""
    contents = body["contents"]
    for said, answered in pairwise(contents):
        calls = [part for part in said["parts"] if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            return "Function call is missing a thought_signature."
        answers = [part["functionResponse"] for part in answered["parts"] if "functionResponse" in part]
        if said["role"] == "model" and len(calls) != len(answers):
            return "The number of function response parts must equal the number of function call parts."
        for call, answer in zip(calls, answers, strict=said["role"] == "model"):
            asked = call["functionCall"]["args"].get("safety_decision")
            if asked and "safety_acknowledgement" not in answer["response"]:
                return "safety_decision was not acknowledged."
            if call["functionCall"].get("id") != answer.get("id"):
                return "function response ids must echo those of the calls."
    return None


def call(name: str, _id: str | None = "c1", **args: Any) -> Json:
    inner: Json = {"name": name, "args": args}
    return {"functionCall": inner | ({"id": _id} if _id else {}), "thoughtSignature": SIGNATURE}


def reply(*parts: Json, reason: str = "STOP") -> Reply:
    return Reply({"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}]})


async def test_an_episode_with_parallel_calls(vendor: Vendor, policy: ComputerModel) -> None:
    vendor.answers = [
        reply(
            {"text": "Hm.", "thought": True},
            call("click", x=500, y=500, intent="open the menu"),
            call("type", "c2", text="ann", press_enter=True),
        ),
        reply(call("go_back", None)),
        reply({"text": "42 EUR"}),
    ]
    record = EpisodeRecord()
    first = await record.ask(policy)
    assert first.action == wire.ClickCoords(x=640, y=400)
    assert first.completion is not None and first.completion.thoughts == "Hm.\nopen the menu"
    record.add(first)
    second = await record.ask(policy)
    assert (second.action, second.completion) == (wire.TypeText(value="ann", press_enter=True), None)
    record.add(second)
    third = await record.ask(policy)
    assert third.action == wire.Back()
    record.add(third)
    last = await record.ask(policy)
    assert last.action == Answer(text="42 EUR")
    assert vendor.asked[0].path.endswith("/models/gemini-x:generateContent")
    assert vendor.asked[0].headers["x-goog-api-key"] == "AIza-test"
    assert vendor.asked[0].body["tools"] == [{"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}]
    final = vendor.asked[2].body["contents"]
    assert [content["role"] for content in final] == ["user", "model", "user", "model", "user"]
    assert base64.urlsafe_b64decode(final[1]["parts"][1]["thoughtSignature"]) == base64.b64decode(SIGNATURE)
    responses = [part["functionResponse"] for part in final[2]["parts"]]
    assert [answer["response"]["url"] for answer in responses] == ["http://shop/1", "http://shop/2"]
    assert last.completion is not None and len(last.completion.images) == 3  # two rounds, without the first page
    assert "inlineData" not in final[0]["parts"][-1]
    pictures = [base64.urlsafe_b64decode(r["parts"][0]["inline_data"]["data"]) for r in responses]
    assert all(data in record.pictures.values() for data in pictures)


async def test_a_failed_call_is_answered_with_its_error_and_so_are_those_after_it(
    vendor: Vendor, policy: ComputerModel
) -> None:
    vendor.answers = [reply(call("fly"), call("click", "c2", x=1, y=1)), reply({"text": "ok"})]
    record = EpisodeRecord()
    turn = await record.ask(policy)
    assert turn.action is None and turn.format_error == "there is no function 'fly' here"
    record.add(turn)
    assert (await record.ask(policy)).action == Answer(text="ok")
    parts = vendor.asked[1].body["contents"][2]["parts"]
    assert [part["functionResponse"]["response"]["error"] for part in parts] == [
        "there is no function 'fly' here",
        "not carried out: the one before it failed",
    ]


@pytest.mark.parametrize("decision", ["allowed", "denied"])
async def test_a_confirmation_is_acknowledged_or_the_reply_is_taken_back(
    vendor: Vendor, policy: ComputerModel, decision: Any
) -> None:
    asked = {"decision": "require_confirmation", "explanation": "Accept the cookies?"}
    vendor.answers = [reply(call("click", x=1, y=1, safety_decision=asked)), reply({"text": "ok"})]
    record = EpisodeRecord()
    turn = await record.ask(policy)
    assert turn.confirm == "Accept the cookies?"
    record.add(turn, safety=SafetyDecision(asked="?", decision=decision, by="person"))
    assert (await record.ask(policy)).action == Answer(text="ok")
    contents = vendor.asked[1].body["contents"]
    if decision == "allowed":
        response = contents[2]["parts"][0]["functionResponse"]["response"]
        assert response["safety_acknowledgement"] == "true"
    else:
        assert [content["role"] for content in contents] == ["user"]
        assert contents[0]["parts"][-1] == {"text": "refused"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(reason="MALFORMED_FUNCTION_CALL"), "MALFORMED_FUNCTION_CALL"),
        (reply({"text": "I was"}, reason="MAX_TOKENS"), "MAX_TOKENS"),
        (Reply({"candidates": []}), "empty reply"),
    ],
)
async def test_a_reply_without_a_call_is_asked_for_again(
    vendor: Vendor, policy: ComputerModel, answer: Reply, says: str
) -> None:
    vendor.answers = [answer, reply(call("go_back"))]
    record = EpisodeRecord()
    turn = await record.ask(policy)
    assert turn.action is None and says in (turn.format_error or "")
    record.add(turn)
    assert (await record.ask(policy)).action == wire.Back()
    (content,) = vendor.asked[1].body["contents"]
    assert says in content["parts"][-1]["text"]


async def test_a_blocked_prompt_is_an_answer_that_says_so(vendor: Vendor, policy: ComputerModel) -> None:
    vendor.answers = [Reply({"promptFeedback": {"blockReason": "SAFETY"}})]
    assert (await EpisodeRecord().ask(policy)).action == Answer(text="(the model refused: SAFETY)")


NEW: list[tuple[str, Json, AgentAction | str]] = [
    ("click", {"x": 500, "y": 500}, wire.ClickCoords(x=640, y=400)),
    ("double_click", {"x": 500, "y": 500}, wire.ClickCoords(x=640, y=400, clicks=2)),
    ("triple_click", {"x": 500, "y": 500}, wire.ClickCoords(x=640, y=400, clicks=3)),
    ("middle_click", {"x": 500, "y": 500}, wire.ClickCoords(x=640, y=400, button="middle")),
    ("right_click", {"x": 500, "y": 500}, wire.ClickCoords(x=640, y=400, button="right")),
    ("mouse_down", {"x": 500, "y": 500}, wire.MouseDown(x=640, y=400)),
    ("mouse_up", {}, wire.MouseUp(x=3, y=4)),
    ("move", {"x": 500, "y": 500}, wire.HoverCoords(x=640, y=400)),
    ("type", {"text": "a"}, wire.TypeText(value="a", press_enter=False)),
    (
        "drag_and_drop",
        {"start_x": 0, "start_y": 0, "end_x": 500, "end_y": 500},
        wire.Drag(x=0, y=0, to_x=640, to_y=400),
    ),
    (
        "drag_and_drop",
        {"x": 0, "y": 0, "destination_x": 500, "destination_y": 500},
        wire.Drag(x=0, y=0, to_x=640, to_y=400),
    ),
    ("wait", {"seconds": 2}, wire.Sleep(duration=2)),
    ("wait", {"seconds": 1e6}, wire.Sleep(duration=30)),
    ("press_key", {"key": "Enter"}, wire.Keypress(keys=["Enter"])),
    ("hotkey", {"keys": ["control", "a"]}, wire.Keypress(keys=["Control", "a"])),
    ("key_down", {"key": "shift"}, wire.KeyDown(keys=["Shift"])),
    ("key_up", {"key": "shift"}, wire.KeyUp(keys=["Shift"])),
    ("take_screenshot", {}, wire.Observe()),
    ("scroll", {"x": 500, "y": 500, "direction": "down"}, wire.ScrollCoords(x=640, y=400, dy=300)),
    (
        "scroll",
        {"x": 500, "y": 500, "direction": "left", "magnitude_in_pixels": 50},
        wire.ScrollCoords(x=640, y=400, dx=-50),
    ),
    ("scroll", {"direction": "up", "magnitude_in_wheel_clicks": 2}, wire.ScrollCoords(x=640, y=400, dy=-240)),
    ("scroll", {"direction": "up", "magnitude": 500}, wire.ScrollCoords(x=640, y=400, dy=-400)),
    ("scroll", {"direction": "inwards"}, "up, down, left or right"),
    ("go_back", {}, wire.Back()),
    ("go_forward", {}, wire.Forward()),
    ("navigate", {"url": "b.test"}, wire.VisitPage(url="https://b.test")),
]
LEGACY: list[tuple[str, Json, AgentAction | str]] = [
    ("open_web_browser", {}, wire.Observe()),
    ("click_at", {"x": 250, "y": 750}, wire.ClickCoords(x=320, y=600)),
    ("click_at", {"x": 1000, "y": 1300}, wire.ClickCoords(x=1279, y=799)),
    ("hover_at", {"x": 500, "y": 500}, wire.HoverCoords(x=640, y=400)),
    (
        "type_text_at",
        {"x": 500, "y": 500, "text": "a"},
        wire.FillCoords(x=640, y=400, value="a", press_enter=True, delete_existing=True),
    ),
    (
        "type_text_at",
        {"x": 500, "y": 500, "text": "a", "press_enter": False, "clear_before_typing": False},
        wire.FillCoords(x=640, y=400, value="a", press_enter=False, delete_existing=False),
    ),
    ("scroll_document", {"direction": "down"}, wire.ScrollCoords(x=640, y=400, dy=750)),
    ("scroll_at", {"x": 500, "y": 500, "direction": "down"}, wire.ScrollCoords(x=640, y=400, dy=640)),
    ("wait_5_seconds", {}, wire.Sleep(duration=5)),
    ("key_combination", {"keys": "control+shift+a"}, wire.Keypress(keys=["Control", "Shift", "a"])),
    ("search", {}, "no search engine"),
]


@pytest.mark.parametrize(("name", "args", "expected"), NEW + LEGACY)
def test_every_function(name: str, args: Json, expected: AgentAction | str) -> None:
    raw = {"candidates": [{"content": {"parts": [{"function_call": {"name": name, "args": args}}]}}]}
    view = View(wire.Viewport(width=1280, height=800), 1280, 800, pointer=(3, 4))
    (move,) = GeminiComputerTranslator("m").read(raw, view).moves
    if isinstance(expected, str):
        assert move.action is None and expected in move.error
    else:
        assert move.action == expected
