"""Finds the one tool call in a model's text: JSON between `<tool_call>` and `</tool_call>`, as Qwen3 writes it.

It becomes a call of the verb with named arguments: `{"name": "browser", "arguments": {"action": "click", "id": 3}}` and
`{"name": "click", "arguments": {"id": 3}}` mean the same, and so does the bare object in a fenced block.
"""

import json
import re
from typing import Any

from agent.parsing.call import MAX_CALL_CHARACTERS, Argument, Call, plain
from agent.parsing.errors import FormatError
from agent.storable import load_json

TOOL = "browser"
EXAMPLE = '<tool_call>{"name": "browser", "arguments": {"action": "click", ...}}</tool_call>'
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FENCED = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```", re.DOTALL)


def parse_tool_call(text: str) -> Call:
    """The reply's tool call. Raises FormatError when there is none, more than one, or one that is not JSON."""
    if not text.strip():
        raise FormatError(f"the reply is empty; expected {EXAMPLE}")
    body = _only_call(text)
    if len(body) > MAX_CALL_CHARACTERS:
        raise FormatError(f"the tool call has {len(body)} characters; at most {MAX_CALL_CHARACTERS} are read")
    try:
        data = load_json(body)
    except ValueError:
        raise FormatError(f"the tool call {body.strip()[:60]!r} is no JSON; expected {EXAMPLE}") from None
    name, arguments = _opened(data)
    if name in (TOOL, "computer_use", "computer"):
        name = arguments.pop("action", None)
        if not isinstance(name, str):
            raise FormatError(f'the arguments name no "action"; expected {EXAMPLE}')
    return Call(name, named=_flat(arguments))


def _only_call(text: str) -> str:
    found = _TAGGED.findall(text) or _FENCED.findall(text)
    if not found and text.strip().startswith("{"):
        found = [text]
    if not found:
        raise FormatError(f"the reply holds no tool call; expected {EXAMPLE}")
    if len(found) > 1:
        raise FormatError(f"the reply holds {len(found)} tool calls; make one, look at the page, then make the next")
    return found[0]


def _opened(data: Any) -> tuple[Any, dict[str, Any]]:
    """Name and arguments of a decoded call; the arguments may be encoded as JSON again, as some servers do."""
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise FormatError(f'the tool call has no "name"; expected {EXAMPLE}')
    arguments = data.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = load_json(arguments)
        except ValueError:
            arguments = None
    if not isinstance(arguments, dict):
        raise FormatError(f'"arguments" of the tool call must be an object; expected {EXAMPLE}')
    return data["name"], dict(arguments)


def _flat(arguments: dict[str, Any]) -> dict[str, Argument]:
    """Arguments as plain values: a point `"coordinate": [500, 250]` becomes x and y, a box becomes its centre."""
    flat: dict[str, Argument] = {}
    for name, value in arguments.items():
        if name in ("coordinate", "point") and isinstance(value, list):
            flat["x"], flat["y"] = _centre(name, value)
        elif name == "to" and isinstance(value, list):
            flat["to_x"], flat["to_y"] = _centre(name, value)
        elif name == "keys" and isinstance(value, list) and all(isinstance(key, str) for key in value):
            flat["keys"] = "+".join(value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            flat[name] = plain(value)
        elif value is not None:
            raise FormatError(f'the argument "{name[:30]}" must be a number or text, found {json.dumps(value)[:40]}')
    return flat


def _centre(name: str, value: list[Any]) -> tuple[Argument, Argument]:
    if len(value) not in (2, 4) or any(isinstance(n, bool) or not isinstance(n, int | float) for n in value):
        raise FormatError(f'"{name}" must be [x, y], found {json.dumps(value)[:40]}')
    for number in value:
        plain(number)
    if len(value) == 4:
        return (value[0] + value[2]) / 2, (value[1] + value[3]) / 2
    return value[0], value[1]
