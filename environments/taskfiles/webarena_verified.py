"""WebArena-Verified's rows (El Hattami et al. 2025): intent, sites, start_urls, eval; addresses by the user's own sites.

Its `eval` becomes `Task.expect` where our verifiers decide the same: a retrieved text, number or list; the address at the
end of a navigation; requests that change something. Where they would not (an expected failure, patterns, headers), the
task has none, and its verdict is left to another judge. `{"__SHOPPING__": ..}` in a text is an address of the sites.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from agent.types import Split, Task
from environments.taskfiles.fields import BadRow, id_of, is_missing, make_task, shown, text_of, url_of

NAMES = {"goal": "intent", "start_url": "start_urls", "expect": "eval"}
LICENCE, SOURCE = "apache-2.0", "WebArena-Verified (El Hattami et al. 2025)"
PLACE = re.compile(r"__([A-Z][A-Z_]*?)__")
CANT_TELL = (
    "headers",
    "response_content",
    "response_cookies",
    "post_data_schema",
    "query_params_schema",
    "ignored_post_data_params_patterns",
    "ignored_query_params_patterns",
    "decode_base64_query",
)
"""Parts of a network evaluator that our rules have no equal to."""
UNRECORDED = ("headers", "response_content", "response_cookies")
"""Parts that look at what the record of an episode's requests does not have."""
BEYOND_LOG = "beyond_log"
"""Label of a task that is judged by such a part."""


class NoEqual(Exception):
    """An evaluator that our verifiers can't replace."""


def is_webarena_verified(row: Mapping[str, Any]) -> bool:
    """True for a row of this format."""
    return "intent" in row and "start_urls" in row


def from_webarena_verified(
    row: Mapping[str, Any], *, environment: str, split: Split, max_steps: int, sites: Mapping[str, str]
) -> Task:
    """Converts a row to a task. `sites`: addresses by the benchmark's names, such as `{"shopping": "http://10.0.0.7:7770"}`.

    Raises `BadRow`, also for a task of a site that has no address.
    """
    starts, names = row.get("start_urls"), row.get("sites")
    if not isinstance(starts, list) or not starts or not all(isinstance(start, str) for start in starts):
        raise BadRow(f"start_urls: expected a list of addresses, found {shown(starts)}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRow(f"sites: expected a list of names, found {shown(names)}")
    found = placed(starts, sites)
    evaluators = row.get("eval")
    if not isinstance(evaluators, list) or not all(isinstance(one, Mapping) for one in evaluators):
        raise BadRow(f"eval: expected a list of evaluators, found {shown(evaluators)}")
    template = row.get("intent_template_id")
    fields = {
        "id": f"webarena.{id_of(row, 'task_id')}",
        "environment": environment,
        "goal": text_of(row, "intent", required=True),
        "start_url": url_of({"start_urls": found[0]}, "start_urls"),
        "domain": "+".join(names),
        "max_steps": max_steps,
        "split": split,
        "expect": expectation(evaluators, sites),
        "labels": {"task_type": _type(evaluators)}
        | ({} if is_missing(template) else {"template": f"webarena-{template}"}),
    }
    return make_task(fields, NAMES)


def expectation(evaluators: Sequence[Mapping[str, Any]], sites: Mapping[str, str]) -> dict[str, Any] | None:
    """`Task.expect` for the evaluators, None where ours would decide otherwise. Raises `BadRow` for a missing site."""
    try:
        found = [part for one in evaluators if (part := _part(one, sites)) is not None]
    except NoEqual:
        return None
    rules = [part for part in found if part["kind"] == "network"]
    others = [part for part in found if part["kind"] != "network"]
    if rules:
        must = [one for rule in rules for one in rule["must"]]
        never = [one for rule in rules for one in rule["must_not"]]
        others.append({"kind": "network", "must": must, "must_not": never})
    if not others:
        return None
    return others[0] if len(others) == 1 else {"kind": "all", "each": others}


def placed(value: Any, sites: Mapping[str, str]) -> Any:
    """A JSON value with the addresses of the sites in place of `__SITE__`. Raises `BadRow` for a site without one."""
    match value:
        case str():
            return PLACE.sub(lambda match: _address(match[1].lower(), sites), value)
        case list():
            return [placed(one, sites) for one in value]
        case Mapping():
            return {key: placed(one, sites) for key, one in value.items()}
    return value


def _address(name: str, sites: Mapping[str, str]) -> str:
    if name not in sites:
        raise BadRow(f"sites: no address for {name}; name it as {name}=http://..")
    return sites[name].rstrip("/")


def _is_beyond(evaluators: Sequence[Mapping[str, Any]]) -> bool:
    expected = [one.get("expected") for one in evaluators]
    return any(isinstance(one, Mapping) and any(one.get(name) for name in UNRECORDED) for one in expected)


def _type(evaluators: Sequence[Mapping[str, Any]]) -> str:
    expected = next(
        (one.get("expected") for one in evaluators if one.get("evaluator") == "AgentResponseEvaluator"), None
    )
    return str(expected.get("task_type", ""))[:40].lower() if isinstance(expected, Mapping) else ""


def _part(one: Mapping[str, Any], sites: Mapping[str, str]) -> dict[str, Any] | None:
    expected = one.get("expected")
    if not isinstance(expected, Mapping):
        raise NoEqual
    match one.get("evaluator"):
        case "AgentResponseEvaluator":
            return _answer(placed(expected, sites))
        case "NetworkEventEvaluator":
            return _requests(one, placed(expected, sites))
    raise NoEqual


def _answer(expected: Mapping[str, Any]) -> dict[str, Any] | None:
    """The expected answer of a retrieval; None for another type, whose result is a state of the site."""
    if expected.get("status") != "SUCCESS":
        raise NoEqual
    data = expected.get("retrieved_data")
    if data is None:
        return None
    if not isinstance(data, list) or not data:
        raise NoEqual
    match data:
        case [bool()]:
            raise NoEqual
        case [int() | float() as number]:
            return {"kind": "number", "value": number}
        case [str() as text]:
            return {"kind": "text", "any_of": [text]}
        case [list() as texts] if texts and all(isinstance(one, str) for one in texts):
            return {"kind": "text", "any_of": texts}
    if all(isinstance(one, str) for one in data):
        return {"kind": "set", "items": data}
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in data):
        return {"kind": "set", "items": [f"{one}" for one in data]}
    if all(isinstance(one, Mapping) for one in data) and not _has_alternatives(data):
        return {"kind": "json", "value": data, "unordered": [""]}
    raise NoEqual


def _has_alternatives(data: Sequence[Mapping[str, Any]]) -> bool:
    """True if a field is a list: there it means that either of its values is right."""
    return any(isinstance(value, list | Mapping) for one in data for value in one.values())


def _requests(one: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    if any(expected.get(name) or one.get(name) for name in CANT_TELL):
        raise NoEqual
    method, address, fields = expected.get("http_method", "GET"), expected.get("url"), expected.get("post_data")
    if not isinstance(address, str) or not address.startswith(("http://", "https://")) or method == "HEAD":
        raise NoEqual
    query = expected.get("query_params")
    if query is not None and not isinstance(query, Mapping):
        raise NoEqual
    url = {"url": address.partition("?")[0].rstrip("$") + _query(query), "query": "subset"}
    if method == "GET":
        # Ours looks at the last page; a page that only has to be visited on the way is another thing.
        if one.get("should_not_exist") or one.get("last_event_only") is False:
            raise NoEqual
        return {"kind": "page", "url": url}
    rule: dict[str, Any] = {"method": method, "url": url}
    if fields is not None:
        if not isinstance(fields, Mapping) or not fields or not all(isinstance(text, str) for text in fields.values()):
            raise NoEqual
        rule["body"] = {"has_fields": dict(fields)}
    never = bool(one.get("should_not_exist"))
    return {"kind": "network", "must": [] if never else [rule], "must_not": [rule] if never else []}


def _query(query: Mapping[str, Any] | None) -> str:
    if not query:
        return ""
    if not all(isinstance(value, str | int) for value in query.values()):
        raise NoEqual
    return f"?{urlencode(dict(query))}"
