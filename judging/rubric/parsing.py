"""A judge's reply -> one form, strictly; everything else is `Undecided`. It never searches for a verdict in a text.

Accepted is one JSON object alone. Before it there may be one closed block of thinking, around it one Markdown fence.
"""

import json
import re
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from judging.endpoints.protocol import Reply
from judging.rubric.replies import Marked
from judging.undecided import Undecided

LONGEST = 100_000
"""Largest number of characters of a reply."""
_THINKING = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_FENCED = re.compile(r"\A```(?:json|JSON)?[ \t]*\n(.*)\n[ \t]*```\Z", re.DOTALL)

Form = TypeVar("Form", bound=Marked)


def parse(reply: Reply, form: type[Form], marker: str) -> Form:
    """The reply's only object. Raises `Undecided`."""
    if reply.finish == "refused":
        raise Undecided("refused", f"the judge refused: {reply.text[:200]}")
    if reply.finish != "stop":
        raise Undecided("truncated", f"the judge's reply is not complete ({reply.finish})")
    found = _object(reply.text)
    try:
        read = form.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        raise Undecided("wrong_form", f"the judge's reply: {where}: {first['msg']}") from None
    if read.call != marker:
        raise Undecided("marker", "the judge's reply does not repeat the marker of its call; it may be quoted text")
    return read


def _object(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise Undecided("oversized", f"expected a reply of at most {LONGEST} characters, found {len(text)}")
    body = _THINKING.sub("", text, count=1).strip()
    if fenced := _FENCED.match(body):
        body = fenced[1].strip()
    if not body:
        raise Undecided("empty", "the judge's reply is empty")
    if not (body.startswith("{") and body.endswith("}")):
        raise Undecided("extra_text", f"expected one JSON object and nothing else, found {body[:100]!r}")
    try:
        found = json.loads(body, object_pairs_hook=_without_duplicates, parse_constant=_not_finite)
    except json.JSONDecodeError as error:
        # Two objects, or an object after prose in braces: which of them is the verdict must not be guessed.
        code = "extra_text" if error.msg == "Extra data" else "not_json"
        raise Undecided(code, f"expected one JSON object: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Undecided("not_json", f"expected one JSON object: {error}"[:300]) from None
    _check_text(body, found)
    return found


def _check_text(body: str, found: object) -> None:
    """Raises `Undecided` for half a surrogate pair, written out or escaped."""
    try:
        body.encode()
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Undecided("surrogate", "the judge's reply has half a surrogate pair") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Undecided("duplicate_key", f"the judge's reply names a key twice: {[name for name, _ in pairs]}"[:300])
    return found


def _not_finite(name: str) -> NoReturn:
    raise Undecided("not_finite", f"the judge's reply has {name}")
