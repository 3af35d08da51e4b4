"""Compares the recorded body of a request with the rules. Undecided where the record can't tell."""

import base64
from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qs

from browser_service.models import RequestRecord
from browser_service.models.network import REMOVED
from judging.verifiers.expectations import BodyRules, JsonExpectation
from judging.verifiers.findings import printable, shown
from judging.verifiers.json_answers import differences, finding_of
from judging.verifiers.json_values import RefusedJson, parse_strictly
from judging.verifiers.wording import composed, normalised

MOST_FIELDS = 1_000
"""Largest number of fields of a form; one with more is no form for this verifier."""
Fits = tuple[bool | None, str]
"""The result, None when the record can't tell, and the reason unless it is True."""


def body_fits(rules: BodyRules, request: RequestRecord) -> Fits:
    """Compares a body. Undecided for one that is cut, that the browser did not tell, or whose secrets would decide."""
    if request.body is None:
        return None, "the body is not recorded"
    try:
        body = base64.b64decode(request.body, validate=True) if request.base64 else request.body.encode()
    except ValueError:
        return None, "the recorded body is damaged"
    if rules.has_text:
        return _has_text(rules, body, is_cut=request.body_cut)
    if request.body_cut:
        return None, "the recorded body is cut"
    if rules.has_json is not None:
        return _has_json(rules, body)
    return _has_fields(rules, _fields_of(body, request.content_type))


def _has_text(rules: BodyRules, body: bytes, *, is_cut: bool) -> Fits:
    text = composed(body.decode(errors="replace"))
    missing = [phrase for phrase in rules.has_text if composed(phrase) not in text]
    if not missing:
        return True, ""
    if is_cut or REMOVED in text:
        return None, "the recorded body is cut, or has a removed secret"
    return False, f"the body lacks {shown(missing[0])}"


def _has_json(rules: BodyRules, body: bytes) -> Fits:
    try:
        given = parse_strictly(body.decode())
    except (RefusedJson, UnicodeDecodeError) as error:
        return False, f"the body is refused as JSON: {error}"[:200]
    comparing = JsonExpectation(value=rules.has_json, exact=rules.exact, extra_keys=True, absolute=rules.absolute)
    found = finding_of(differences(comparing, rules.has_json, given), "the body")
    if found.passed:
        return True, ""
    if all(one.ok for one in differences(comparing, rules.has_json, _assume_removed(given, rules.has_json))):
        return None, "a secret of the body was removed"
    return False, found.evidence


def _assume_removed(given: Any, expected: Any) -> Any:
    """The given value with removed secrets as they are expected: all else has to fit then."""
    match given, expected:
        case str(), _ if given == REMOVED:
            return expected
        case dict(), dict():
            return {
                key: _assume_removed(value, expected.get(key)) if key in expected else value
                for key, value in given.items()
            }
        case list(), list() if len(given) == len(expected):
            return [_assume_removed(one, other) for one, other in zip(given, expected, strict=True)]
    return given


def _has_fields(rules: BodyRules, fields: dict[str, list[str]] | None) -> Fits:
    if fields is None:
        return False, "the body is no form"
    form = composed if rules.exact else normalised
    unknown = ""
    for name, expected in (rules.has_fields or {}).items():
        wanted = [expected] if isinstance(expected, str) else list(expected)
        given = fields.get(name, [])
        if [form(one) for one in given] == [form(one) for one in wanted]:
            continue
        if REMOVED not in given:
            return (
                False,
                f"field {printable(name)}: expected {shown(', '.join(wanted))}, found {shown(', '.join(given))}",
            )
        unknown = unknown or f"the value of field {printable(name)} was removed"
    return (None, unknown) if unknown else (True, "")


def _fields_of(body: bytes, content_type: str) -> dict[str, list[str]] | None:
    """The fields of a form by name; None if the body is no form."""
    try:
        if content_type.lower().startswith("multipart/form-data"):
            return _parts_of(body, content_type)
        if "json" in content_type.lower():
            return None
        text = body.decode()
        return parse_qs(text, keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS) if text else {}
    except (ValueError, LookupError, RecursionError):  # the parsers' errors for what a page may send
        return None


def _parts_of(body: bytes, content_type: str) -> dict[str, list[str]] | None:
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = message.get_payload()
    if not message.is_multipart() or not isinstance(parts, list) or len(parts) > MOST_FIELDS:
        return None
    fields: dict[str, list[str]] = {}
    for part in parts:
        if not isinstance(part, Message) or part.is_multipart() or part.get_filename() is not None:
            continue
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields.setdefault(name, []).append(content.decode())
    return fields
