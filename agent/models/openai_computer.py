"""OpenAI's computer tool over the Responses API: a `computer_call` holds a batch of actions in pixels of the screenshot.

The vendor keeps the conversation (`previous_response_id`), so a request has only the outputs of the last reply. A
call's output can only be a screenshot: errors go into a message beside it. The tool can't navigate, so two functions
are added.
"""

from typing import Any

from agent.models.computer import INSTRUCTIONS, Asked, Json, Move, Round, Said, Scene, mapping, mappings
from agent.models.moves import followed, moves
from agent.models.tool_arguments import FAR, BadCall, Point, ToolArguments, View, address
from agent.storable import load_json
from agent.types import AgentAction, Answer
from browser_service import models as wire

STROKES = 8
"""Largest number of points of a drawn path that are kept; each one is a step of the episode."""
FUNCTIONS: list[Json] = [
    {
        "type": "function",
        "name": "goto",
        "description": "Open an address in the browser.",
        "parameters": {
            "type": "object",
            "properties": {"url": {"type": "string"}},
            "required": ["url"],
            "additionalProperties": False,
        },
        "strict": True,
    },
    {
        "type": "function",
        "name": "back",
        "description": "Go back to the page before.",
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        "strict": True,
    },
]


class OpenAIComputerTranslator:
    """Translator for the protocol in the module docstring. Pure."""

    def __init__(self, model: str, *, summaries: bool = True) -> None:
        """`summaries`: ask for summaries of the reasoning, which answers lack otherwise."""
        self._model, self._summaries = model, summaries

    def request(self, scene: Scene) -> Asked:
        """The whole opening, or the outputs of the last reply with the current page."""
        media_type, data, sha256 = scene.picture(scene.observation)
        url = f"data:{media_type};base64,{data}"
        kept = [each for each in scene.rounds if not each.taken_back]
        since = scene.rounds[len(scene.rounds) - _trailing(scene.rounds) :]
        notes = [each.taken_back for each in since]
        body: Json = {
            "model": self._model,
            "instructions": INSTRUCTIONS,
            "tools": [{"type": "computer"}, *FUNCTIONS],
            "truncation": "auto",
            "max_output_tokens": scene.max_tokens,
        }
        if self._summaries:
            body["reasoning"] = {"summary": "auto"}
        if kept:
            body |= {"previous_response_id": kept[-1].raw.get("id"), "input": _outputs(kept[-1], url, notes)}
        else:
            body["input"] = [_message("\n".join([scene.opening(), *notes]), url)]
        return Asked(body, (sha256,))

    def read(self, raw: Json, view: View) -> Said:
        """Calls, reasoning summaries, safety checks and text of a response."""
        found: list[Move] = []
        texts: list[str] = []
        thoughts: list[str] = []
        confirm: list[str] = []
        for item in _items(raw):
            made: list[Move] = []
            match item.get("type"):
                case "computer_call":
                    confirm += [_check(check) for check in mappings(item.get("pending_safety_checks"))]
                    made = _batch(item, view)
                case "function_call":
                    arguments = ToolArguments(str(item.get("name")), _decoded(item.get("arguments")), view)
                    made = moves(str(item.get("call_id")), arguments, _function)
                case "message":
                    texts += [str(part.get("text") or part.get("refusal") or "") for part in _parts(item, "content")]
                case "reasoning":
                    thoughts += [str(part.get("text") or "") for part in _parts(item, "summary")]
            found += made
            view = followed(view, made)
        text, cut_off = "\n".join(filter(None, texts)), raw.get("status") == "incomplete"
        if not found and text and not cut_off:
            found = [Move("", Answer(text=text[:10_000]))]
        error = "the reply was cut off" if cut_off else "the reply holds neither a call nor an answer"
        return Said(
            moves=found,
            text=text,
            thoughts="\n".join(filter(None, thoughts)),
            confirm="; ".join(confirm) if found else "",
            error="" if found else f"{error}; act with a tool, or answer in plain text",
            cut_off=cut_off,
        )


def _trailing(rounds: list[Round]) -> int:
    """Number of last rounds that were taken back."""
    count = 0
    while count < len(rounds) and rounds[-1 - count].taken_back:
        count += 1
    return count


def _outputs(last: Round, url: str, notes: list[str]) -> list[Json]:
    """Output of each call of a reply; plus a message for notes, or when no call takes a picture."""
    items: list[Json] = []
    calls, messages = last.calls(), list(notes)
    pictured = False
    for item in _items(last.raw):
        outcomes = calls.get(str(item.get("call_id")), [])
        failures = [outcome.failure for outcome in outcomes if outcome.failure]
        remarks = [outcome.move.note for outcome in outcomes if outcome.move.note]
        if item.get("type") == "computer_call":
            output: Json = {
                "type": "computer_call_output",
                "call_id": item.get("call_id"),
                "output": {"type": "computer_screenshot", "image_url": url},
            }
            if (checks := item.get("pending_safety_checks")) and last.confirmed:
                output["acknowledged_safety_checks"] = checks
            items.append(output)
            messages = [*failures, *remarks, *messages]
            pictured = True
        elif item.get("type") == "function_call":
            result = "; ".join(failures) or "; ".join(outcome.effect for outcome in outcomes) or "done"
            items.append({"type": "function_call_output", "call_id": item.get("call_id"), "output": result})
    if messages or not pictured:
        items.append(_message("\n".join(messages) or "The page now:", None if pictured else url))
    return items


def _message(text: str, url: str | None) -> Json:
    content: list[Json] = [{"type": "input_text", "text": text}]
    if url is not None:
        content.append({"type": "input_image", "image_url": url, "detail": "original"})
    return {"role": "user", "content": content}


def _batch(item: Json, view: View) -> list[Move]:
    """The actions of a computer call; older models send a single `action`."""
    actions = item.get("actions") or [item.get("action")]
    made: list[Move] = []
    for action in actions if isinstance(actions, list) else []:
        values = mapping(action)
        arguments = ToolArguments(str(values.get("type")), values, view)
        made += moves(str(item.get("call_id")), arguments, _action)
        view = followed(view, made)
    return made


def _action(arguments: ToolArguments) -> AgentAction | list[AgentAction]:
    match arguments.name:
        case "click":
            return _click(arguments)
        case "double_click":
            x, y = arguments.point()
            return wire.ClickCoords(x=x, y=y, clicks=2, hold=arguments.held_keys("keys"))
        case "drag":
            return _drag(arguments.path("path"), arguments.held_keys("keys"))
        case "keypress":
            return arguments.chord("keys")
        case "move":
            x, y = arguments.point()
            return wire.HoverCoords(x=x, y=y, hold=arguments.held_keys("keys"))
        case "screenshot":
            return wire.Observe()
        case "scroll":
            x, y = arguments.point()
            dx, dy = (max(-FAR, min(FAR, arguments.number(name, default=0.0))) for name in ("scroll_x", "scroll_y"))
            return wire.ScrollCoords(x=x, y=y, dx=dx, dy=dy, hold=arguments.held_keys("keys"))
        case "type":
            return wire.TypeText(value=arguments.text("text"))
        case "wait":
            return wire.Sleep(duration=arguments.seconds("seconds", default=1.0))
    raise BadCall(f"there is no action {arguments.name[:30]!r} here")


def _click(arguments: ToolArguments) -> AgentAction:
    match arguments.text("button", default="left"):
        case "left" | "right" as button:
            x, y = arguments.point()
            return wire.ClickCoords(x=x, y=y, button=button, hold=arguments.held_keys("keys"))
        case "wheel" | "middle":
            x, y = arguments.point()
            return wire.ClickCoords(x=x, y=y, button="middle", hold=arguments.held_keys("keys"))
        case "back":
            return wire.Back()
        case "forward":
            return wire.Forward()
        case other:
            raise BadCall(f"click: there is no button {other[:20]!r}")


def _drag(path: list[Point], hold: list[str]) -> list[AgentAction]:
    (x, y), (to_x, to_y) = path[0], path[-1]
    if len(path) == 2:
        return [wire.Drag(x=x, y=y, to_x=to_x, to_y=to_y, hold=hold)]
    between = path[1:-1][:: max(1, -(-(len(path) - 2) // STROKES))]
    return [
        *([wire.KeyDown(keys=hold)] if hold else []),
        wire.MouseDown(x=x, y=y),
        *(wire.HoverCoords(x=at[0], y=at[1]) for at in between),
        wire.MouseUp(x=to_x, y=to_y),
        *([wire.KeyUp(keys=hold)] if hold else []),
    ]


def _function(arguments: ToolArguments) -> AgentAction:
    match arguments.name:
        case "goto":
            return wire.VisitPage(url=address(arguments.text("url")))
        case "back":
            return wire.Back()
    raise BadCall(f"there is no function {arguments.name[:30]!r} here")


def _check(check: Json) -> str:
    return str(check.get("message") or check.get("code") or check.get("id"))


def _decoded(arguments: Any) -> Any:
    try:
        return load_json(arguments)
    except (TypeError, ValueError):
        return {}


def _items(raw: Json) -> list[Json]:
    return mappings(raw.get("output"))


def _parts(item: Json, name: str) -> list[Json]:
    return mappings(item.get(name))
