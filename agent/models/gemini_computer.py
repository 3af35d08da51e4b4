"""Gemini's computer-use tool: function calls on a grid of 1000, with the names of 3.5 and the thirteen names before it.

Contents are repeated verbatim, because thoughts are signed. The documents and Google's own reference agent disagree
about argument names (drag, scroll): both are accepted.
"""

from agent.models.computer import INSTRUCTIONS, Asked, Json, Move, Outcome, Round, Said, Scene, mapping, mappings
from agent.models.moves import followed, moves
from agent.models.tool_arguments import WHEEL_CLICK, BadCall, ToolArguments, View, address, scrolled
from agent.types import AgentAction, Answer
from browser_service import models as wire
from browser_service.models import Observation

GRID = 1_000
DEFAULT_SCROLL = 300
LEGACY_SCROLL = 800
REFUSED = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE"})
CONFIRM = "require_confirmation"


class GeminiComputerTranslator:
    """Translator for the protocol in the module docstring. Pure."""

    def __init__(self, model: str) -> None:
        self._model = model

    def request(self, scene: Scene) -> Asked:
        """The conversation so far, with the pictures of the newest rounds."""
        images: list[str] = []
        opening: list[Json] = [{"text": scene.opening()}]
        if scene.shows_first():
            opening.append({"inline_data": _blob(scene, scene.first, images)})
        contents: list[Json] = [{"role": "user", "parts": opening}]
        for each, shown in scene.shown_rounds():
            if each.taken_back:
                contents[-1]["parts"].append({"text": each.taken_back})
                continue
            contents.append(_content(each.raw))
            answers = _answers(each, scene, images if shown else None)
            contents.append({"role": "user", "parts": answers})
        config = {
            "system_instruction": INSTRUCTIONS,
            "max_output_tokens": scene.max_tokens,
            "tools": [{"computer_use": {"environment": "ENVIRONMENT_BROWSER"}}],
            "thinking_config": {"include_thoughts": True},
        }
        return Asked({"model": self._model, "contents": contents, "config": config}, tuple(images))

    def read(self, raw: Json, view: View) -> Said:
        """Calls, thoughts, intents, safety decisions and text of the first candidate."""
        candidate = _first(raw)
        reason = str(candidate.get("finish_reason") or "")
        found: list[Move] = []
        texts: list[str] = []
        thoughts: list[str] = []
        confirm: list[str] = []
        for place, part in enumerate(_parts(raw)):
            if text := part.get("text"):
                (thoughts if part.get("thought") else texts).append(str(text))
            if isinstance(call := part.get("function_call"), dict):
                args = mapping(call.get("args"))
                thoughts += [str(args["intent"])] if args.get("intent") else []
                confirm += _asked(args)
                made = moves(_id(call, place), ToolArguments(str(call.get("name")), args, view, grid=GRID), _action)
                found += made
                view = followed(view, made)
        text = "\n".join(texts)
        blocked = str(mapping(raw.get("prompt_feedback")).get("block_reason") or "")
        if not found and (blocked or reason in REFUSED):
            text = f"(the model refused: {blocked or reason})"
        if not found and text and reason != "MAX_TOKENS":
            found = [Move("", Answer(text=text[:10_000]))]
        return Said(
            moves=found,
            text=text,
            thoughts="\n".join(thoughts),
            confirm="; ".join(confirm) if found else "",
            error=""
            if found
            else f"no call could be read ({reason or 'empty reply'}); make one, or answer in plain text",
            cut_off=reason == "MAX_TOKENS",
        )


def _first(raw: Json) -> Json:
    return next(iter(mappings(raw.get("candidates"))), {})


def _content(raw: Json) -> Json:
    return mapping(_first(raw).get("content"))


def _parts(raw: Json) -> list[Json]:
    return mappings(_content(raw).get("parts"))


def _id(call: Json, place: int) -> str:
    """A call's own id, or its index in the reply: older models give none."""
    return str(call.get("id") or f"part-{place}")


def _asked(args: Json) -> list[str]:
    decision = mapping(args.get("safety_decision"))
    if decision.get("decision") == CONFIRM:
        return [str(decision.get("explanation") or "the action needs a confirmation")]
    return []


def _answers(last: Round, scene: Scene, images: list[str] | None) -> list[Json]:
    """One function response per call, in one turn. `images` collects the pictures' hashes; None: without pictures."""
    calls = last.calls()
    answers: list[Json] = []
    for place, part in enumerate(_parts(last.raw)):
        call = part.get("function_call")
        if not isinstance(call, dict):
            continue
        outcomes = calls.get(_id(call, place), [])
        answer: Json = {"name": call.get("name"), "response": _response(call, outcomes, scene, last)}
        if call.get("id"):
            answer["id"] = call["id"]
        if images is not None:
            after = outcomes[-1].after if outcomes else scene.observation
            answer["parts"] = [{"inline_data": _blob(scene, after, images)}]
        answers.append({"function_response": answer})
    return answers


def _response(call: Json, outcomes: list[Outcome], scene: Scene, last: Round) -> Json:
    after = outcomes[-1].after if outcomes else scene.observation
    response: Json = {"url": after.url}
    if failures := [outcome.failure for outcome in outcomes if outcome.failure]:
        response["error"] = failures[0]
    elif effects := [outcome.effect for outcome in outcomes if outcome.effect]:
        response["result"] = "; ".join(effects)
    if last.confirmed and _asked(mapping(call.get("args"))):
        response["safety_acknowledgement"] = "true"
    return response


def _blob(scene: Scene, observation: Observation, images: list[str]) -> Json:
    media_type, data, sha256 = scene.picture(observation)
    images.append(sha256)
    return {"mime_type": media_type, "data": data}


def _action(arguments: ToolArguments) -> AgentAction | list[AgentAction]:
    match arguments.name:
        case "click" | "click_at" | "double_click" | "triple_click" | "middle_click" | "right_click":
            x, y = arguments.point()
            clicks = {"double_click": 2, "triple_click": 3}.get(arguments.name, 1)
            button: wire.Button = (
                "middle" if arguments.name == "middle_click" else "right" if arguments.name == "right_click" else "left"
            )
            return wire.ClickCoords(x=x, y=y, button=button, clicks=clicks)
        case "move" | "hover_at":
            x, y = arguments.point()
            return wire.HoverCoords(x=x, y=y)
        case "mouse_down" | "mouse_up":
            x, y = arguments.point() if arguments.has("x") else arguments.view.pointer
            return wire.MouseDown(x=x, y=y) if arguments.name == "mouse_down" else wire.MouseUp(x=x, y=y)
        case "drag_and_drop":
            x, y = arguments.point("start_x", "start_y", or_x="x", or_y="y")
            to_x, to_y = arguments.point("end_x", "end_y", or_x="destination_x", or_y="destination_y")
            return wire.Drag(x=x, y=y, to_x=to_x, to_y=to_y)
        case "scroll" | "scroll_at" | "scroll_document":
            return _scroll(arguments)
        case _:
            return _without_point(arguments)


def _without_point(arguments: ToolArguments) -> AgentAction | list[AgentAction]:
    match arguments.name:
        case "type":
            return wire.TypeText(value=arguments.text("text"), press_enter=arguments.flag("press_enter", default=False))
        case "type_text_at":  # the documents' default for Enter and for clearing is yes; the reference agent's is no
            x, y = arguments.point()
            return wire.FillCoords(
                x=x,
                y=y,
                value=arguments.text("text"),
                press_enter=arguments.flag("press_enter", default=True),
                delete_existing=arguments.flag("clear_before_typing", default=True),
            )
        case "press_key" | "hotkey" | "key_combination":
            return arguments.chord("keys", "key")
        case "wait":
            return wire.Sleep(duration=arguments.seconds("seconds", default=1.0))
        case "wait_5_seconds":
            return wire.Sleep(duration=5.0)
        case "navigate":
            return wire.VisitPage(url=address(arguments.text("url")))
        case "go_back":
            return wire.Back()
        case "go_forward":
            return wire.Forward()
        case "take_screenshot" | "open_web_browser":
            return wire.Observe()
        case "search":
            raise BadCall("search: there is no search engine here; navigate to an address instead")
        case "key_down":
            return wire.KeyDown(keys=arguments.keys("keys", "key"))
        case "key_up":
            return wire.KeyUp(keys=arguments.keys("keys", "key"))
    raise BadCall(f"there is no function {arguments.name[:40]!r} here")


def _scroll(arguments: ToolArguments) -> AgentAction:
    viewport = arguments.view.viewport
    direction = arguments.text("direction", default="down")
    if arguments.name == "scroll_document":
        x, y = viewport.width / 2, viewport.height / 2
        distance = (viewport.height if direction.lower() in ("up", "down") else viewport.width) - 50.0
    else:
        x, y = arguments.point() if arguments.has("x") else (viewport.width / 2, viewport.height / 2)
        distance = _distance(arguments, direction)
    dx, dy = scrolled(direction, distance)
    return wire.ScrollCoords(x=x, y=y, dx=dx, dy=dy)


def _distance(arguments: ToolArguments, direction: str) -> float:
    """Distance in CSS pixels, from pixels, wheel clicks, or grid units."""
    if arguments.has("magnitude_in_wheel_clicks"):
        return arguments.number("magnitude_in_wheel_clicks") * WHEEL_CLICK
    if arguments.has("magnitude"):
        legacy = arguments.number("magnitude")
    elif arguments.name == "scroll_at":
        legacy = LEGACY_SCROLL
    else:
        return arguments.number("magnitude_in_pixels", default=DEFAULT_SCROLL)
    viewport = arguments.view.viewport
    return legacy / GRID * (viewport.height if direction.lower() in ("up", "down") else viewport.width)
