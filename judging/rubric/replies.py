"""Replies that the judge model has to give, one class per question, and their JSON schemas.

The reasons come before the decisions: a model that writes in order thinks before it decides.
"""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.verdict import Confidence

Json = dict[str, Any]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Marked(_Form):
    """Base of all replies. `call` repeats the marker, so JSON that stands on a page is never taken for a reply."""

    call: str


class Relevance(Marked):
    """Pages that matter for the judgement. Example: `{"call": "5f0c..", "pages": [3, 7]}`."""

    pages: list[int]


class Support(Marked):
    """Criterion B: the record shows all that the answer claims, and the answer gives what the task asks for."""

    reason: str
    supported: bool
    answers_task: bool
    pages: list[int]
    quote: str


class Fact(_Form):
    """One fact of the rubric. Example: `{"number": 1, "reason": "..", "met": true, "pages": [7], "quote": "42 EUR"}`."""

    number: int
    reason: str
    met: bool
    pages: list[int]
    quote: str


class Facts(Marked):
    """Criterion A: every fact of the rubric, the reference answer, and the process."""

    facts: list[Fact]
    matches_reference: bool | None
    """None when there is no reference answer."""
    site_at_fault: bool
    forbidden_side_effect: bool
    side_effect_pages: list[int]


class SureSupport(Support):
    """Criterion B with the judge's own confidence, for a panel that asks another judge where it is low."""

    confidence: Confidence


class SureFacts(Facts):
    """Criterion A with the judge's own confidence."""

    confidence: Confidence


class Blocking(Marked):
    """The site refuses the visit. Example: `{"call": "5f0c..", "reason": "..", "blocked": true, "pages": [2]}`."""

    reason: str
    blocked: bool
    pages: list[int]


@cache
def schema_of(form: type[BaseModel]) -> Json:
    """JSON schema of a reply without references, titles and descriptions: the subset that all servers accept."""
    schema = form.model_json_schema()
    return _plain(schema, schema.get("$defs", {}))


def _plain(node: Any, definitions: Json) -> Any:
    if isinstance(node, list):
        return [_plain(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        return _plain(definitions[reference.rpartition("/")[2]], definitions)
    left_out = ("$defs", "description", "default") + (("title",) if isinstance(node.get("title"), str) else ())
    return {name: _plain(value, definitions) for name, value in node.items() if name not in left_out}
