"""Anthropic's computer tool through the real SDK, in both generations, against a loopback server that checks results."""

import base64
import io
from collections.abc import AsyncGenerator, Generator
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types.computer_member_name import COMPUTER_MEMBER_NAME_VALUES
from episode_record import EpisodeRecord
from PIL import Image
from vendor_server import Answer as Reply
from vendor_server import Json, Vendor, running_vendor

from agent.models.anthropic_computer import TOOLSET, AnthropicComputerTranslator
from agent.models.computer import ComputerModel
from agent.models.tool_arguments import View
from agent.models.vendors import open_anthropic
from agent.types import AgentAction, Answer
from browser_service import models as wire

LEGACY = "computer_20251124"


@pytest.fixture
def vendor() -> Generator[Vendor]:
    with running_vendor() as server:
        server.check = check
        yield server


@pytest.fixture(params=[TOOLSET, LEGACY])
def tool(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def policy(vendor: Vendor, tool: str) -> AsyncGenerator[ComputerModel]:
    translator = AnthropicComputerTranslator("claude-x", tool)
    client = open_anthropic("sk-ant-test", vendor.url, 20)
    async with ComputerModel(translator, client, rounds_with_pictures=1, max_tokens=500) as model:
        yield model


def check(body: Json) -> str | None:
    """The Messages API's error: for a tool use without its result right after it, or a result of another toolset."""
    for said, answered in pairwise(body["messages"]):
        uses = [block for block in said["content"] if block["type"] == "tool_use"]
        results = {block["tool_use_id"]: block for block in answered["content"] if block["type"] == "tool_result"}
        for use in uses:
            if use["id"] not in results:
                return f"tool_use ids were found without tool_result blocks: {use['id']}"
            if results[use["id"]].get("toolset_name") != use.get("toolset_name"):
                return f"toolset_name of {use['id']} must be echoed"
    return None


def use(tool: str, name: str, id: str = "t1", **arguments: Any) -> Json:
    if tool == LEGACY:
        return {"type": "tool_use", "id": id, "name": "computer", "input": {"action": name, **arguments}}
    return {"type": "tool_use", "id": id, "name": name, "toolset_name": "computer", "input": arguments}


def message(*blocks: Json, reason: str = "tool_use") -> Reply:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "claude-x", "usage": {}}
    return Reply({**head, "stop_reason": reason, "content": list(blocks)})


async def test_an_episode_in_either_generation(vendor: Vendor, policy: ComputerModel, tool: str) -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "signed"}
    vendor.answers = [
        message(thinking, use(tool, "left_click", coordinate=[10, 20]), use(tool, "type", "t2", text="ann")),
        message({"type": "tool_use", "id": "t3", "name": "navigate", "input": {"url": "http://b.test/"}}),
        message({"type": "text", "text": "42 EUR"}, reason="end_turn"),
    ]
    record = EpisodeRecord()
    first = await record.ask(policy)
    assert first.action == wire.ClickCoords(x=10, y=20)
    assert first.completion is not None and first.completion.thoughts == "Hm."
    record.add(first)
    second = await record.ask(policy)
    assert (second.action, second.completion) == (wire.TypeText(value="ann"), None)
    record.add(second)
    third = await record.ask(policy)
    assert third.action == wire.VisitPage(url="http://b.test/")
    record.add(third)
    assert (await record.ask(policy)).action == Answer(text="42 EUR")
    opening = vendor.asked[0]
    assert opening.headers["authorization"] == "Bearer sk-ant-test"
    if tool == TOOLSET:
        assert opening.path == "/v1/messages" and "anthropic-beta" not in opening.headers
        assert opening.body["tools"][0] == {"type": TOOLSET}
    else:
        assert opening.path.startswith("/v1/messages")
        assert opening.headers["anthropic-beta"] == "computer-use-2025-11-24"
        described = opening.body["tools"][0]
        assert (described["display_width_px"], described["display_height_px"]) == (1280, 800)
    final = vendor.asked[2].body["messages"]
    assert [each["role"] for each in final] == ["user", "assistant", "user", "assistant", "user"]
    assert final[1]["content"][0] == thinking  # told again word for word: it is signed
    shown = [block["type"] for each in final for block in each["content"]]
    assert shown.count("image") == 0  # the first page is too old
    newest = final[4]["content"][0]["content"]
    assert base64.b64decode(newest[1]["source"]["data"]) in record.pictures.values()
    assert newest[0]["text"] == "effect 2"


async def test_old_pictures_are_left_out_and_said_to_be(vendor: Vendor, policy: ComputerModel, tool: str) -> None:
    vendor.answers = [message(use(tool, "screenshot", f"t{n}")) for n in range(4)]
    record = EpisodeRecord()
    for _ in range(3):
        record.add(await record.ask(policy))
    turn = await record.ask(policy)
    results = [each["content"][0]["content"] for each in vendor.asked[-1].body["messages"][2::2]]
    assert [[part["type"] for part in parts] for parts in results] == [
        ["text", "text"],
        ["text", "image"],
        ["text", "image"],
    ]
    assert turn.completion is not None and len(turn.completion.images) == 2


async def test_an_error_is_reported_as_one(vendor: Vendor, policy: ComputerModel, tool: str) -> None:
    vendor.answers = [message(use(tool, "left_click", coordinate=[10])), message(reason="end_turn")]
    record = EpisodeRecord()
    turn = await record.ask(policy)
    assert turn.action is None and "list of 2 numbers" in (turn.format_error or "")
    record.add(turn)
    again = await record.ask(policy)
    (result,) = vendor.asked[1].body["messages"][2]["content"]
    assert result["is_error"] is True and "list of 2 numbers" in result["content"][0]["text"]
    assert "end_turn" in (again.format_error or "")  # neither a tool use nor text


async def test_zoom_shows_the_region_and_gives_the_pointer(vendor: Vendor, policy: ComputerModel, tool: str) -> None:
    vendor.answers = [
        message(
            use(tool, "mouse_move", "t1", coordinate=[40, 50]),
            use(tool, "cursor_position", "t2"),
            use(tool, "zoom", "t3", region=[0, 0, 64, 32]),
        ),
        message({"type": "text", "text": "ok"}, reason="end_turn"),
    ]
    record = EpisodeRecord()
    for _ in range(3):
        record.add(await record.ask(policy))
    await record.ask(policy)
    results = vendor.asked[1].body["messages"][2]["content"]
    assert results[1]["content"][0]["text"] == "X=40,Y=50"
    with Image.open(io.BytesIO(base64.b64decode(results[2]["content"][1]["source"]["data"]))) as enlarged:
        assert enlarged.size == (1280, 640)


async def test_a_refusal_is_an_answer_that_says_so(vendor: Vendor, policy: ComputerModel) -> None:
    vendor.answers = [message(reason="refusal")]
    assert (await EpisodeRecord().ask(policy)).action == Answer(text="(the model refused)")


ACTIONS: dict[str, list[tuple[Json, list[AgentAction] | str]]] = {
    "key": [
        ({"text": "ctrl+shift+Page_Down"}, [wire.Keypress(keys=["Control", "Shift", "PageDown"])]),
        ({"text": "Return", "repeat": 3}, [wire.Keypress(keys=["Enter"])] * 3),
        ({"text": "Return", "repeat": 10_000}, "1 to 20"),
    ],
    "hold_key": [({"text": "a", "duration": 2}, [wire.Keypress(keys=["a"], duration=2)])],
    "type": [({"text": "a"}, [wire.TypeText(value="a")])],
    "cursor_position": [({}, [wire.Observe()])],
    "mouse_move": [({"coordinate": [1, 2]}, [wire.HoverCoords(x=1, y=2)])],
    "left_mouse_down": [({}, [wire.MouseDown(x=3, y=4)])],
    "left_mouse_up": [({}, [wire.MouseUp(x=3, y=4)])],
    "left_click": [
        ({"coordinate": [1, 2]}, [wire.ClickCoords(x=1, y=2)]),
        ({}, [wire.ClickCoords(x=3, y=4)]),
        ({"coordinate": [1, 2], "text": "ctrl+shift"}, [wire.ClickCoords(x=1, y=2, hold=["Control", "Shift"])]),
        ({"coordinate": "here"}, "list of 2 numbers"),
    ],
    "left_click_drag": [
        ({"start_coordinate": [1, 2], "coordinate": [5, 6]}, [wire.Drag(x=1, y=2, to_x=5, to_y=6)]),
        (
            {"start_coordinate": [1, 2], "coordinate": [5, 6], "text": "alt"},
            [wire.Drag(x=1, y=2, to_x=5, to_y=6, hold=["Alt"])],
        ),
    ],
    "right_click": [({"coordinate": [1, 2]}, [wire.ClickCoords(x=1, y=2, button="right")])],
    "middle_click": [({"coordinate": [1, 2]}, [wire.ClickCoords(x=1, y=2, button="middle")])],
    "double_click": [({"coordinate": [1, 2]}, [wire.ClickCoords(x=1, y=2, clicks=2)])],
    "triple_click": [({"coordinate": [1, 2]}, [wire.ClickCoords(x=1, y=2, clicks=3)])],
    "scroll": [
        (
            {"coordinate": [1, 2], "scroll_direction": "down", "scroll_amount": 3},
            [wire.ScrollCoords(x=1, y=2, dy=360)],
        ),
        (
            {"scroll_direction": "left", "scroll_amount": 1, "text": "shift"},
            [wire.ScrollCoords(x=3, y=4, dx=-120, hold=["Shift"])],
        ),
        ({"scroll_direction": "in", "scroll_amount": 1}, "up, down, left or right"),
    ],
    "wait": [({"duration": 2}, [wire.Sleep(duration=2)])],
    "screenshot": [({}, [wire.Observe()])],
    "zoom": [({"region": [0, 0, 9, 9]}, [wire.Observe()]), ({"region": [0]}, "list of 4 numbers")],
}


def test_every_member_of_the_sdks_toolset_is_known() -> None:
    assert set(ACTIONS) == set(COMPUTER_MEMBER_NAME_VALUES)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"), [(name, *case) for name, cases in ACTIONS.items() for case in cases]
)
def test_every_action(tool: str, name: str, arguments: Json, expected: list[AgentAction] | str) -> None:
    view = View(wire.Viewport(width=1280, height=800), 1280, 800, pointer=(3, 4))
    moves = AnthropicComputerTranslator("m", tool).read({"content": [use(tool, name, **arguments)]}, view).moves
    if isinstance(expected, str):
        assert len(moves) == 1 and moves[0].action is None and expected in moves[0].error
    else:
        assert [move.action for move in moves] == expected
