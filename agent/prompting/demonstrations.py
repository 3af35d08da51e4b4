"""Demonstrations: the action of a script, a person or another model, rendered as a prompt and a reply of a policy.

`demonstrated(step)` gives the prompt of `compose`, and a reply that the policy's own parser reads back as the same action: imitating
it leads to that action.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from agent.config import AgentConfig
from agent.parsing import GRID, FormatError, parse_brief, parse_full
from agent.parsing.call import parse_call
from agent.parsing.tool_call import TOOL
from agent.parsing.verbs import FULL
from agent.profiles import PROFILES
from agent.prompting.control_tokens import GENERIC, ControlTokens
from agent.prompting.prompts import compose
from agent.prompting.wording import Grid, render
from agent.replies import THINK_END
from agent.types import AgentAction, Step
from browser_service.models import Observation, Viewport

POINT = {"x", "y", "to_x", "to_y"}
"""Fields that lose their fraction in the units of the grid."""


class Demonstration(NamedTuple):
    """One turn to imitate. Example: `Demonstration([{"role": "user", ..}], "click(3)", ("9f8c..",))`."""

    messages: list[dict[str, Any]]
    """Chat messages; a picture is the part `{"type": "image"}`."""
    reply: str
    images: tuple[str, ...]
    """sha256 of the pictures, in the order of their parts."""


def demonstrated(
    goal: str, history: Sequence[Step], step: Step, config: AgentConfig, control: ControlTokens = GENERIC
) -> Demonstration | None:
    """The turn of a step; None without an action, or with one that no reply of the profile means.

    Raises `PromptTooLong`, and ValueError when the prompt needs a screenshot and the step has none.
    """
    if step.action is None or (reply := reply_of(step.action, step.observation.viewport, config)) is None:
        return None
    known = {shot.sha256: b"" for one in history if (shot := one.observation.screenshot) is not None}
    prompt = compose(goal, history, _with_picture(step.observation), config, known, control)
    messages = [_without_bytes(message) for message in prompt.messages]
    return Demonstration(messages, reply, prompt.images)


def reply_of(action: AgentAction, viewport: Viewport, config: AgentConfig) -> str | None:
    """A reply that means the action, without reasons; None where the grammar of the prompt has none."""
    points, profile = config.interaction_mode == "coordinates", PROFILES[config.profile]
    grid = GRID if config.prompt == "compact" else profile.grid
    call = render(action, Grid(grid, viewport) if points else None)
    try:
        if config.prompt == "compact":
            return call if _same(parse_brief(call, config.interaction_mode, viewport), action) else None
        reply = _tool_call(call, config) if profile.syntax == "tool_call" else call
        understood = parse_full(reply, config.interaction_mode, viewport, profile)
    except FormatError:
        return None
    if not _same(understood, action):
        return None
    return f"\n{THINK_END}\n\n{reply}" if profile.thinks else reply


def _tool_call(call: str, config: AgentConfig) -> str:
    """A call with named arguments, in the form that the schema of the tool asks for. Raises `FormatError`."""
    parsed = parse_call(call)
    verb = next((verb for verb in FULL[config.interaction_mode] if verb.name == parsed.name), None)
    if verb is None or len(parsed.arguments) > len(verb.parameters):
        raise FormatError(f"there is no action {parsed.name}")
    arguments = {"action": verb.name} | dict(zip(verb.parameters, parsed.arguments, strict=False))
    said = json.dumps({"name": TOOL, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{said}\n</tool_call>"


def _same(understood: AgentAction, action: AgentAction) -> bool:
    """True for the same action, but for fractions of points."""
    return understood.model_dump(exclude=POINT) == action.model_dump(exclude=POINT)


def _with_picture(page: Observation) -> Observation:
    """The page with empty picture data, which `compose` asks for: only the place of the picture is needed."""
    shot = page.screenshot
    return page if shot is None else page.model_copy(update={"screenshot": shot.model_copy(update={"data": ""})})


def _without_bytes(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return message
    return message | {
        "content": [{"type": "image"} if part["type"] == "image_url" else part for part in content],
    }
