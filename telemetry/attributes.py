"""The attributes that a span may have: ids, counts and kinds. No text of a page, a goal, a prompt or a header is among them.

The table is the only way to an attribute, and a text that does not look like an id is left out: what a page or a model
server says can't get into a trace by mistake.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypedDict

Value = str | int | float | bool

EPISODE = "episode"
"""Name of the span of an episode, which sampling is about (`telemetry.sampling`)."""
IDENTIFIER = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_.:/+@{}-]{0,199}")
"""The form of a text attribute: an id, a name of a model or a route, a code."""


class Attributes(TypedDict, total=False):
    """Attributes by their names here. `None` leaves one out."""

    run: str | None
    iteration: int | None
    stage: str | None
    trajectory: str | None
    attempt: int | None
    task: str | None
    group: str | None
    step: int | None
    lease: str | None
    policy_version: int | None
    action: str | None
    stop: str | None
    steps: int | None
    judge: str | None
    reward: float | None
    blocked: bool | None
    undecided: str | None
    fault: str | None
    error: str | None
    cancelled: bool | None
    act_ms: float | None
    settle_ms: float | None
    observe_ms: float | None
    method: str | None
    route: str | None
    status: int | None
    operation: str | None
    provider: str | None
    model: str | None
    max_tokens: int | None
    temperature: float | None
    input_tokens: int | None
    output_tokens: int | None
    finish: str | None
    conversation: str | None
    tool: str | None


OWN = """run iteration stage trajectory attempt task group step lease policy_version action stop steps judge reward blocked
undecided fault cancelled act_ms settle_ms observe_ms""".split()  # noqa: SIM905
"""Attributes without an equal in OpenTelemetry's conventions."""
KEYS: dict[str, str] = {name: f"rl_loop.{name}" for name in OWN} | {
    # OpenTelemetry's semantic conventions.
    "error": "error.type",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.request.model",
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "finish": "gen_ai.response.finish_reasons",
    "conversation": "gen_ai.conversation.id",
    "tool": "gen_ai.tool.name",
}
"""The name of each attribute in a trace."""


def exported(attributes: Mapping[str, object]) -> Iterator[tuple[str, Value | list[str]]]:
    """The attributes as a trace has them, without empty ones and without texts that are no ids. Raises KeyError for an
    attribute that is not in the table."""
    for name, value in attributes.items():
        key = KEYS[name]
        if isinstance(value, str):
            if IDENTIFIER.fullmatch(value):
                yield key, [value] if name == "finish" else value
        elif isinstance(value, bool | int | float):
            yield key, value
