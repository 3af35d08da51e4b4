"""Text -> typed action, and the grammar for the prompt, both from the tables of `verbs.py`."""

import json
from typing import Any

from agent.parsing.arguments import Arguments
from agent.parsing.call import Call, parse_call
from agent.parsing.errors import FormatError
from agent.parsing.tool_call import TOOL, parse_tool_call
from agent.parsing.verbs import BRIEF, FULL, NUMBERS, Verbs
from agent.profiles import Profile
from agent.types import AgentAction
from browser_service.models import InteractionMode, Viewport

GRID = 1_000
HABITS = {"left_click": "click", "go_back": "back", "goto": "navigate", "keypress": "press", "key": "press"}
"""Alternative verb names that models use; accepted by the full grammar."""


def parse_brief(text: str, mode: InteractionMode, viewport: Viewport) -> AgentAction:
    """The action of a reply to a compact prompt, in CSS pixels of `viewport`. Raises `FormatError`."""
    return _act(parse_call(text), BRIEF[mode], viewport, GRID)


def parse_full(text: str, mode: InteractionMode, viewport: Viewport, profile: Profile) -> AgentAction:
    """The action of a reply to a full prompt, without its thinking. Raises `FormatError`."""
    call = parse_tool_call(text) if profile.syntax == "tool_call" else parse_call(text, named=True)
    call = call._replace(name=HABITS.get(call.name, call.name))
    return _act(call, FULL[mode], viewport, profile.grid)


def grammar(mode: InteractionMode, profile: Profile) -> str:
    """The list of actions for the prompt, in the syntax of the profile."""
    if profile.syntax == "tool_call":
        return json.dumps(tool_schema(mode, profile.grid), ensure_ascii=False)
    return "\n".join(f"{verb.signature():<28}{verb.says}" for verb in FULL[mode])


def tool_schema(mode: InteractionMode, grid: int) -> dict[str, Any]:
    """The verbs as one function `browser` with the verb as its argument `action`, in the JSON form of tools."""
    verbs = FULL[mode]
    names = dict.fromkeys(name for verb in verbs for name in verb.parameters)
    lines = [f"* {verb.signature()}: {verb.says}" for verb in verbs]
    where = (
        f"Points are given as x and y from 0 to {grid} over the picture's width and height."
        if mode == "coordinates"
        else "Elements are named by the number that is drawn on them."
    )
    properties: dict[str, Any] = {
        "action": {"type": "string", "enum": [verb.name for verb in verbs], "description": "\n".join(lines)}
    }
    properties |= {name: {"type": "number" if name in NUMBERS else "string"} for name in names}
    function = {
        "name": TOOL,
        "description": f"Act in the web browser, once. {where}",
        "parameters": {"type": "object", "properties": properties, "required": ["action"]},
    }
    return {"type": "function", "function": function}


def _act(call: Call, verbs: Verbs, viewport: Viewport, grid: int) -> AgentAction:
    for verb in verbs:
        if verb.name == call.name:
            given = Arguments(call, verb.parameters, viewport=viewport, grid=grid)
            verb.check(given)
            return verb.build(given)
    *most, last = [verb.name for verb in verbs]
    raise FormatError(f"there is no action {call.name[:20]!r}; use {', '.join(most)} or {last}")
