"""Anthropic's computer tool in both generations: `computer_toolset_20260801`, and `computer_20251124` with its beta header.

In the toolset every action is a tool of its own, and results must echo `toolset_name`; before it, one tool `computer`
takes `input.action`. Both use pixels of the screenshot. Neither can navigate, so two tools are added. The protocol
itself has no safety requests: the SDK's `confirm` belongs to its own tool runner, which is not used here.
"""

from typing import Any

from agent.models.computer import INSTRUCTIONS, Asked, Json, Move, Outcome, Round, Said, Scene, mappings
from agent.models.moves import followed, moves
from agent.models.tool_arguments import WHEEL_CLICK, BadCall, ToolArguments, View, address, scrolled
from agent.models.zoom import enlarged
from agent.types import AgentAction, Answer
from browser_service import models as wire
from browser_service.models import Observation

TOOLSET = "computer_toolset_20260801"
BETA = {"computer_20251124": "computer-use-2025-11-24"}
MOST_REPEATS = 20
LEFT_OUT = "(an earlier screenshot is left out)"
NAVIGATION: list[Json] = [
    {
        "name": "navigate",
        "description": "Open an address in the browser.",
        "input_schema": {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]},
    },
    {
        "name": "go_back",
        "description": "Go back to the page before.",
        "input_schema": {"type": "object", "properties": {}},
    },
]


class AnthropicComputerTranslator:
    """Translator for the protocol in the module docstring. Pure."""

    def __init__(self, model: str, tool: str = TOOLSET) -> None:
        self._model, self._tool = model, tool

    def request(self, scene: Scene) -> Asked:
        """The conversation so far, with the pictures of the newest rounds."""
        images: list[str] = []
        opening: list[Json] = [_text(scene.opening())]
        if scene.shows_first():
            opening.append(_image(scene, scene.first, images))
        messages: list[Json] = [{"role": "user", "content": opening}]
        for each, shown in scene.shown_rounds():
            if each.taken_back:
                messages[-1]["content"].append(_text(each.taken_back))
                continue
            messages.append({"role": "assistant", "content": _blocks(each.raw)})
            results = _results(each, scene, images if shown else None)
            messages.append({"role": "user", "content": results})
        body: Json = {
            "model": self._model,
            "max_tokens": scene.max_tokens,
            "system": INSTRUCTIONS,
            "messages": messages,
            "tools": [self._computer(scene.observation), *NAVIGATION],
        }
        if beta := BETA.get(self._tool):
            body["betas"] = [beta]
        return Asked(body, tuple(images))

    def read(self, raw: Json, view: View) -> Said:
        """Tool uses, thinking and text of a message."""
        found: list[Move] = []
        texts: list[str] = []
        thoughts: list[str] = []
        for block in _blocks(raw):
            match block.get("type"):
                case "tool_use":
                    made = _tool_use(block, view)
                    found += made
                    view = followed(view, made)
                case "text":
                    texts.append(str(block.get("text") or ""))
                case "thinking":
                    thoughts.append(str(block.get("thinking") or ""))
        text, reason = "\n".join(filter(None, texts)), str(raw.get("stop_reason") or "")
        if not found and reason == "refusal":
            text = f"(the model refused) {text}".strip()
        cut_off = reason in ("max_tokens", "model_context_window_exceeded")
        if not found and text and not cut_off:
            found = [Move("", Answer(text=text[:10_000]))]
        error = f"no tool use could be read ({reason or 'empty reply'}); use a tool, or answer in plain text"
        return Said(moves=found, text=text, thoughts="\n".join(thoughts), error="" if found else error, cut_off=cut_off)

    def _computer(self, observation: Observation) -> Json:
        if self._tool == TOOLSET:
            return {"type": TOOLSET}
        shot = observation.screenshot
        viewport = observation.viewport
        return {
            "type": self._tool,
            "name": "computer",
            "display_width_px": shot.width if shot else viewport.width,
            "display_height_px": shot.height if shot else viewport.height,
            "enable_zoom": True,
        }


def _results(last: Round, scene: Scene, images: list[str] | None) -> list[Json]:
    """One result per tool use. `images` collects the pictures' hashes; None: without pictures."""
    calls = last.calls()
    results: list[Json] = []
    for block in _blocks(last.raw):
        if block.get("type") != "tool_use":
            continue
        outcomes = calls.get(str(block.get("id")), [])
        failures = [outcome.failure for outcome in outcomes if outcome.failure]
        content = [_text(failures[0] if failures else _text_of(outcomes))]
        if images is None:
            content.append(_text(LEFT_OUT))
        else:
            content.append(_seen(outcomes, scene, images))
        result: Json = {"type": "tool_result", "tool_use_id": block.get("id"), "content": content}
        if failures:
            result["is_error"] = True
        if block.get("toolset_name"):
            result["toolset_name"] = block["toolset_name"]
        results.append(result)
    return results


def _text_of(outcomes: list[Outcome]) -> str:
    said = [outcome.move.answer or outcome.effect for outcome in outcomes]
    return "; ".join(filter(None, said)) or "done"


def _seen(outcomes: list[Outcome], scene: Scene, images: list[str]) -> Json:
    """The page after a tool use, or the region of it that the model asked for."""
    after = outcomes[-1].after if outcomes else scene.observation
    region = outcomes[-1].move.region if outcomes else None
    if region is None:
        return _image(scene, after, images)
    _, data, sha256 = scene.picture(after)
    images.append(sha256)
    return _picture("image/png", enlarged(data, region))


def _image(scene: Scene, observation: Observation, images: list[str]) -> Json:
    media_type, data, sha256 = scene.picture(observation)
    images.append(sha256)
    return _picture(media_type, data)


def _picture(media_type: str, data: str) -> Json:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _blocks(raw: Json) -> list[Json]:
    return mappings(raw.get("content"))


def _tool_use(block: Json, view: View) -> list[Move]:
    """The moves of one tool use of either generation."""
    values: Any = block.get("input")
    name = str(block.get("name"))
    if name == "computer" and isinstance(values, dict):
        name = str(values.get("action"))
    arguments = ToolArguments(name, values, view)
    made = moves(str(block.get("id")), arguments, _action)
    if name == "cursor_position":
        x, y = view.pointer
        across, down = view.width / view.viewport.width, view.height / view.viewport.height
        return [move._replace(answer=f"X={round(x * across)},Y={round(y * down)}") for move in made]
    if name == "zoom" and made[0].action is not None:
        x0, y0, x1, y1 = arguments.numbers("region", 4)
        return [made[0]._replace(region=(x0, y0, x1, y1))]
    return made


def _action(arguments: ToolArguments) -> AgentAction | list[AgentAction]:
    match arguments.name:
        case "left_click" | "right_click" | "middle_click" | "double_click" | "triple_click":
            return _click(arguments)
        case "mouse_move":
            x, y = arguments.pair("coordinate")
            return wire.HoverCoords(x=x, y=y)
        case "left_mouse_down":
            x, y = arguments.pair("coordinate", or_pointer=True)
            return wire.MouseDown(x=x, y=y)
        case "left_mouse_up":
            x, y = arguments.pair("coordinate", or_pointer=True)
            return wire.MouseUp(x=x, y=y)
        case "left_click_drag":
            (x, y), (to_x, to_y) = arguments.pair("start_coordinate", or_pointer=True), arguments.pair("coordinate")
            return wire.Drag(x=x, y=y, to_x=to_x, to_y=to_y, hold=arguments.held_keys("text"))
        case "scroll":
            x, y = arguments.pair("coordinate", or_pointer=True)
            clicks = arguments.number("scroll_amount", default=3.0)
            dx, dy = scrolled(arguments.text("scroll_direction"), clicks * WHEEL_CLICK)
            return wire.ScrollCoords(x=x, y=y, dx=dx, dy=dy, hold=arguments.held_keys("text"))
        case _:
            return _without_point(arguments)


def _click(arguments: ToolArguments) -> AgentAction:
    x, y = arguments.pair("coordinate", or_pointer=True)
    buttons: dict[str, wire.Button] = {"right_click": "right", "middle_click": "middle"}
    clicks = {"double_click": 2, "triple_click": 3}.get(arguments.name, 1)
    return wire.ClickCoords(
        x=x, y=y, button=buttons.get(arguments.name, "left"), clicks=clicks, hold=arguments.held_keys("text")
    )


def _without_point(arguments: ToolArguments) -> AgentAction | list[AgentAction]:
    match arguments.name:
        case "key":
            repeat = int(arguments.number("repeat", default=1.0))
            if not 1 <= repeat <= MOST_REPEATS:
                raise BadCall(f"key: repeat must be 1 to {MOST_REPEATS}, found {repeat}")
            return [arguments.chord("text")] * repeat
        case "type":
            return wire.TypeText(value=arguments.text("text"))
        case "wait":
            return wire.Sleep(duration=arguments.seconds("duration", default=1.0))
        case "screenshot" | "cursor_position":
            return wire.Observe()
        case "zoom":
            arguments.numbers("region", 4)
            return wire.Observe()
        case "navigate":
            return wire.VisitPage(url=address(arguments.text("url")))
        case "go_back":
            return wire.Back()
        case "hold_key":
            return wire.Keypress(keys=arguments.keys("text"), duration=arguments.seconds("duration", default=1.0))
    raise BadCall(f"there is no tool {arguments.name[:40]!r} here")
