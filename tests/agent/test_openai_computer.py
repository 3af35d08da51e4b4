"""OpenAI's computer tool through the real SDK, against a loopback server that checks what OpenAI would check."""

import base64
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from episode_record import EpisodeRecord
from vendor_server import Answer as Reply
from vendor_server import Json, Vendor, running_vendor

from agent.models.computer import ComputerModel
from agent.models.openai_computer import OpenAIComputerTranslator
from agent.models.tool_arguments import View
from agent.models.vendors import open_openai
from agent.types import AgentAction, Answer, SafetyDecision
from browser_service import models as wire

KEY = "sk-test-000"
CHECK = {"id": "sc_1", "code": "malicious_instructions", "message": "The page gives instructions."}


@pytest.fixture
def vendor() -> Generator[Vendor]:
    with running_vendor() as server:
        server.check = check
        yield server


@pytest.fixture
async def policy(vendor: Vendor) -> AsyncGenerator[ComputerModel]:
    client = open_openai(KEY, vendor.url + "/v1", 20)
    async with ComputerModel(
        OpenAIComputerTranslator("gpt-x"), client, rounds_with_pictures=1, max_tokens=500
    ) as model:
        yield model


CALLS: dict[str, list[tuple[str, str, bool]]] = {}
"""Per response id: id and type of its calls, and whether safety checks are pending."""


def check(body: Json) -> str | None:
    """The Responses API's error: for calls without output, unacknowledged checks, pictures without content."""
    previous = body.get("previous_response_id")
    outputs = {item["call_id"]: item for item in body["input"] if "call_id" in item}
    for call_id, kind, pending in CALLS.get(previous, []):
        if outputs.get(call_id, {}).get("type") != kind + "_output":
            return f"No tool output found for {kind} {call_id}."
        if pending and not outputs[call_id].get("acknowledged_safety_checks"):
            return f"Safety checks of {call_id} were not acknowledged."
    return None


def response(name: str, *items: Json, **fields: Any) -> Reply:
    CALLS[name] = [
        (item["call_id"], item["type"], bool(item.get("pending_safety_checks"))) for item in items if "call_id" in item
    ]
    return Reply({"id": name, "object": "response", "status": "completed", "output": list(items), **fields})


def computer(call_id: str, *actions: Json, checks: list[Json] | None = None) -> Json:
    return {
        "type": "computer_call",
        "id": f"cu_{call_id}",
        "call_id": call_id,
        "status": "completed",
        "actions": list(actions),
        "pending_safety_checks": checks or [],
    }


def function(call_id: str, name: str, arguments: str) -> Json:
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments}


def says(text: str) -> Json:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


CLICK = {"type": "click", "button": "left", "x": 10, "y": 20}


async def test_an_episode_from_opening_to_answer(vendor: Vendor, policy: ComputerModel) -> None:
    vendor.answers = [
        response(
            "r1",
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "I look."}]},
            computer("c1", CLICK, {"type": "type", "text": "ann"}),
        ),
        response("r2", function("f1", "goto", '{"url": "http://b.test/"}')),
        response("r3", says("42 EUR")),
    ]
    record = EpisodeRecord()
    first = await record.ask(policy)
    assert first.action == wire.ClickCoords(x=10, y=20)
    assert first.completion is not None and first.completion.thoughts == "I look."
    record.add(first)
    second = await record.ask(policy)
    assert (second.action, second.completion) == (wire.TypeText(value="ann"), None)  # of the same reply
    record.add(second)
    third = await record.ask(policy)
    assert third.action == wire.VisitPage(url="http://b.test/")
    record.add(third)
    assert (await record.ask(policy)).action == Answer(text="42 EUR")
    opening, after_batch, after_goto = (asked.body for asked in vendor.asked)
    assert vendor.asked[0].path == "/v1/responses"
    assert vendor.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert {"type": "computer"} in opening["tools"] and opening["model"] == "gpt-x"
    assert opening["input"][0]["content"][0]["text"].startswith("Buy a lamp.")
    assert "previous_response_id" not in opening
    assert after_batch["previous_response_id"] == "r1"
    (output,) = after_batch["input"]  # one screenshot after the last action of the batch
    data = output["output"]["image_url"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(data) in record.pictures.values()
    assert after_goto["input"][0] == {"type": "function_call_output", "call_id": "f1", "output": "effect 2"}
    assert after_goto["input"][1]["content"][1]["type"] == "input_image"


async def test_the_rest_of_a_batch_is_dropped_when_an_action_fails(vendor: Vendor, policy: ComputerModel) -> None:
    vendor.answers = [response("r1", computer("c1", CLICK, CLICK)), response("r2", says("ok"))]
    record = EpisodeRecord()
    record.add(await record.ask(policy), feedback="the element is gone")
    assert (await record.ask(policy)).action == Answer(text="ok")
    text = vendor.asked[1].body["input"][1]["content"][0]["text"]  # the only channel for words
    assert "the element is gone" in text and "not carried out" in text


async def test_an_allowed_check_is_acknowledged(vendor: Vendor, policy: ComputerModel) -> None:
    vendor.answers = [response("r1", computer("c1", CLICK, checks=[CHECK])), response("r2", says("ok"))]
    record = EpisodeRecord()
    turn = await record.ask(policy)
    assert turn.confirm == "The page gives instructions."
    record.add(turn, safety=SafetyDecision(asked="?", decision="allowed", by="person"))
    assert (await record.ask(policy)).action == Answer(text="ok")
    assert vendor.asked[1].body["input"][0]["acknowledged_safety_checks"] == [CHECK]


async def test_a_denied_reply_is_asked_again_from_the_one_before(vendor: Vendor, policy: ComputerModel) -> None:
    vendor.answers = [
        response("r1", computer("c1", CLICK)),
        response("r2", computer("c2", CLICK, checks=[CHECK])),
        response("r3", says("I stop.")),
    ]
    record = EpisodeRecord()
    record.add(await record.ask(policy))
    record.add(await record.ask(policy), safety=SafetyDecision(asked="?", decision="denied", by="configuration"))
    assert (await record.ask(policy)).action == Answer(text="I stop.")
    again = vendor.asked[2].body
    assert again["previous_response_id"] == "r1"
    assert [item.get("call_id") for item in again["input"]] == ["c1", None]
    assert again["input"][1]["content"][0]["text"] == "refused"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"type": "click", "button": "right", "x": 1, "y": 2}, [wire.ClickCoords(x=1, y=2, button="right")]),
        ({"type": "click", "button": "wheel", "x": 1, "y": 2}, [wire.ClickCoords(x=1, y=2, button="middle")]),
        ({"type": "click", "button": "back", "x": 1, "y": 2}, [wire.Back()]),
        ({"type": "click", "button": "forward", "x": 1, "y": 2}, [wire.Forward()]),
        ({"type": "double_click", "x": 1, "y": 2}, [wire.ClickCoords(x=1, y=2, clicks=2)]),
        (
            {"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]},
            [wire.Drag(x=1, y=2, to_x=3, to_y=4)],
        ),
        (
            {"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 9, "y": 9}, {"x": 3, "y": 4}]},
            [wire.MouseDown(x=1, y=2), wire.HoverCoords(x=9, y=9), wire.MouseUp(x=3, y=4)],
        ),
        ({"type": "keypress", "keys": ["CTRL", "a"]}, [wire.Keypress(keys=["Control", "a"])]),
        ({"type": "move", "x": 1, "y": 2}, [wire.HoverCoords(x=1, y=2)]),
        ({"type": "screenshot"}, [wire.Observe()]),
        (
            {"type": "scroll", "x": 1, "y": 2, "scroll_x": 0, "scroll_y": 300},
            [wire.ScrollCoords(x=1, y=2, dx=0, dy=300)],
        ),
        ({"type": "type", "text": "ann"}, [wire.TypeText(value="ann")]),
        ({"type": "wait"}, [wire.Sleep(duration=1)]),
        (
            {"type": "click", "button": "wheel", "x": 1, "y": 2, "keys": ["SHIFT"]},
            [wire.ClickCoords(x=1, y=2, button="middle", hold=["Shift"])],
        ),
        (
            {"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 9, "y": 9}, {"x": 3, "y": 4}], "keys": ["ALT"]},
            [
                wire.KeyDown(keys=["Alt"]),
                wire.MouseDown(x=1, y=2),
                wire.HoverCoords(x=9, y=9),
                wire.MouseUp(x=3, y=4),
                wire.KeyUp(keys=["Alt"]),
            ],
        ),
        ({"type": "move", "x": 1, "y": 2, "keys": ["CTRL"]}, [wire.HoverCoords(x=1, y=2, hold=["Control"])]),
        ({"type": "click", "x": 1, "y": 2, "keys": 7}, "must be text"),
        ({"type": "fly"}, "no action 'fly'"),
        ({"type": "click", "button": "left", "x": "1", "y": 2}, "must be a number"),
        ({"type": "type", "text": "x" * 10_001}, "10000"),
        ({"type": "drag", "path": [{"x": 1, "y": 2}]}, "at least two"),
        ({"type": "keypress", "keys": []}, "expected a key"),
    ],
)
def test_every_action(action: Json, expected: list[AgentAction] | str) -> None:
    view = View(wire.Viewport(width=1280, height=800), 1280, 800)
    for call in (computer("c", action), {**computer("c"), "action": action, "actions": None}):  # batch, and before it
        moves = OpenAIComputerTranslator("m").read({"output": [call]}, view).moves
        if isinstance(expected, str):
            assert len(moves) == 1 and moves[0].action is None and expected in moves[0].error
        else:
            assert [move.action for move in moves] == expected


def test_points_are_scaled_from_the_picture_and_moved_into_the_page() -> None:
    view = View(wire.Viewport(width=1280, height=800), 640, 400)
    (inside, outside) = (
        OpenAIComputerTranslator("m").read({"output": [computer("c", {**CLICK, "x": x, "y": 200})]}, view).moves[0]
        for x in (320, 5_000)
    )
    assert inside.action == wire.ClickCoords(x=640, y=400) and not inside.note
    assert outside.action == wire.ClickCoords(x=1279, y=400) and "outside the page" in outside.note


def test_a_reply_without_call_or_text_is_an_error_for_the_model() -> None:
    view = View(wire.Viewport(), 1280, 768)
    read = OpenAIComputerTranslator("m").read
    assert "neither" in read({"output": []}, view).error
    cut = read({"output": [says("I was about")], "status": "incomplete"}, view)
    assert not cut.moves and cut.cut_off and "cut off" in cut.error
    refusal = {"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}]}
    assert read({"output": [refusal]}, view).moves[0].action == Answer(text="I can't.")
