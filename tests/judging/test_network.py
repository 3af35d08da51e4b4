"""Requests as evidence: which were made, with which bodies; and a record that lacks something decides nothing wrongly."""

from typing import Any

import pytest
from ended_episodes import ended, task
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.types import Answer, Step, StopReason, Trajectory
from browser_service.models import ClickId, RequestLogHead, RequestRecord
from browser_service.models.network import REMOVED
from judging.verifiers.answer_judge import AnswerJudge
from judging.verifiers.bodies import body_fits
from judging.verifiers.expectations import BodyRules, NetworkExpectation
from judging.verifiers.mapping import ExpectationError, expectation_of
from judging.verifiers.network import check_network
from storage.recordings.requests import CorruptRequests, RequestLog

SHOP = "https://shop.example"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
ORDER = {"method": "POST", "url": {"url": f"{SHOP}/orders"}}
DELETE = {"method": "DELETE", "url": {"url": f"{SHOP}/orders", "path": "prefix"}}


def sent(path: str, method: str = "POST", **fields: Any) -> RequestRecord:
    given = {"step": 2, "at_s": 1.0, "method": method, "url": SHOP + path, "resource_type": "fetch", "status": 200}
    return RequestRecord.model_validate(given | fields)


def log(*requests: RequestRecord, **dropped: int) -> RequestLog:
    count = len(requests) + sum(dropped.values())
    return RequestLog(RequestLogHead.model_validate({"steps": 2, "requests": count} | dropped), requests)


def passed(expect: dict[str, Any], record: RequestLog | None) -> bool | None:
    expected = NetworkExpectation.model_validate({"kind": "network"} | expect)
    return check_network(expected, ended(task()), lambda _: record).passed


def with_body(body: dict[str, Any]) -> dict[str, Any]:
    return {"must": [ORDER | {"body": body}]}


MULTIPART = (
    '--B\r\nContent-Disposition: form-data; name="item"\r\n\r\n2 Mugs\r\n'
    '--B\r\nContent-Disposition: form-data; name="size"\r\n\r\nL\r\n'
    '--B\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\nL\r\n--B--\r\n'
)


@pytest.mark.parametrize(
    ("expect", "requests", "result"),
    [
        ({"must": [ORDER]}, [sent("/orders")], True),
        ({"must": [ORDER]}, [sent("/orders", "GET")], False),
        ({"must": [ORDER]}, [sent("/order")], False),
        ({"must": [ORDER]}, [sent("/orders", status=403)], False),
        ({"must": [ORDER | {"status": "any"}]}, [sent("/orders", status=403)], True),
        ({"must": [ORDER]}, [sent("/orders", status=None)], None),
        ({"must": [ORDER]}, [sent("/orders", status=None, error="net::ERR_ABORTED")], None),
        ({"must": [ORDER]}, [sent("/orders", status=None, error="net::ERR_CONNECTION_REFUSED")], False),
        ({"must": [ORDER | {"most": 1}]}, [sent("/orders"), sent("/orders")], False),
        ({"must": [ORDER | {"most": 1}]}, [sent("/orders"), sent("/orders", status=None)], None),
        ({"must_not": [DELETE]}, [sent("/orders")], True),
        ({"must_not": [DELETE]}, [sent("/orders/7", "DELETE", status=None)], False),
        ({"must": [ORDER], "must_not": [DELETE]}, [sent("/orders"), sent("/orders/7", "DELETE")], False),
        ({"must_not": [{"url": {"url": SHOP, "path": "ignore"}}]}, [sent("/any", "PATCH")], False),
        (
            {"must_not": [{"method": "any", "url": {"url": f"{SHOP}/x", "query": "ignore"}}]},
            [sent("/x?a=\\", "GET")],
            False,
        ),
        (
            with_body({"has_json": {"qty": 2}}),
            [sent("/orders", body='{"qty": 2.0, "sku": 7}', content_type=JSON)],
            True,
        ),
        (with_body({"has_json": {"qty": 2}}), [sent("/orders", body='{"qty": "2"}', content_type=JSON)], False),
        (with_body({"has_json": {"qty": 2}}), [sent("/orders", body='{"qty": 2, "qty": 3}')], False),
        (with_body({"has_json": {"qty": 2}}), [sent("/orders", body='{"qty": 2', body_cut=True)], None),
        (with_body({"has_json": {"qty": 2}}), [sent("/orders")], None),
        (
            with_body({"has_json": {"a": {"pin": "1"}}}),
            [sent("/orders", body=f'{{"a": {{"pin": "{REMOVED}"}}}}')],
            None,
        ),
        (with_body({"has_json": {"a": "1", "b": 1}}), [sent("/orders", body=f'{{"a": "{REMOVED}", "b": 2}}')], False),
        (
            with_body({"has_fields": {"item": "2 mugs"}}),
            [sent("/orders", body="item=2+Mugs&x=1", content_type=FORM)],
            True,
        ),
        (
            with_body({"has_fields": {"item": "2 mugs"}, "exact": True}),
            [sent("/orders", body="item=2+Mugs", content_type=FORM)],
            False,
        ),
        (with_body({"has_fields": {"tag": ["a", "b"]}}), [sent("/orders", body="tag=a&tag=b")], True),
        (with_body({"has_fields": {"tag": "a"}}), [sent("/orders", body="tag=a&tag=b")], False),
        (with_body({"has_fields": {"password": "x"}}), [sent("/orders", body=f"password={REMOVED}")], None),
        (
            with_body({"has_fields": {"item": "2 mugs", "size": "L"}}),
            [sent("/orders", body=MULTIPART, content_type="multipart/form-data; boundary=B")],
            True,
        ),
        (
            with_body({"has_fields": {"photo": "L"}}),
            [sent("/orders", body=MULTIPART, content_type="multipart/form-data; boundary=B")],
            False,
        ),
        (with_body({"has_text": ["<id>7</id>"]}), [sent("/orders", body="<o><id>7</id></o>")], True),
        (with_body({"has_text": ["<id>8</id>"]}), [sent("/orders", body="<o><id>7</id></o>")], False),
    ],
)
def test_requests_and_bodies(expect: dict[str, Any], requests: list[RequestRecord], result: bool | None) -> None:
    assert passed(expect, log(*requests)) is result


def test_a_record_that_lacks_something_decides_only_what_it_can() -> None:
    assert passed({"must": [ORDER]}, None) is None
    assert passed({"must": [ORDER]}, log(dropped_writes=1)) is None
    assert passed({"must": [ORDER]}, log(dropped_reads=9, dropped_documents=9)) is False, "a lost read was no order"
    assert passed({"must": [ORDER]}, log(sent("/orders"), dropped_writes=1)) is True
    assert passed({"must_not": [DELETE]}, log(sent("/orders"), dropped_writes=1)) is None
    assert passed({"must_not": [DELETE]}, log(sent("/orders/7", "DELETE"), dropped_writes=1)) is False
    both = {"must": [ORDER], "must_not": [DELETE]}
    assert passed(both, log(sent("/orders", status=None), sent("/orders/7", "DELETE"))) is False, "fails in any case"


@pytest.mark.parametrize(
    "expect",
    [
        {},
        {"must": []},
        {"must": [{"method": "POST"}]},
        {"must": [{"method": "GET", "url": {"url": SHOP}, "body": {"has_json": 1}}]},
        {"must": [ORDER | {"body": {}}]},
        {"must_not": [ORDER | {"most": 1}]},
        {"must": [{"method": "POST", "url": {"url": "javascript:1"}}]},
    ],
)
def test_an_invalid_rule_is_the_tasks_fault(expect: dict[str, Any]) -> None:
    with pytest.raises(ExpectationError):
        expectation_of(task({"kind": "network"} | expect))


async def test_the_verdict_names_each_rule_and_the_steps_of_its_requests() -> None:
    of = task({"kind": "all", "each": [{"kind": "text", "any_of": ["done"]}, {"kind": "network", "must": [ORDER]}]})
    page = ended(of).final_observation
    assert page is not None
    steps = (
        Step(index=0, observation=page, completion=None, action=None, feedback="no action"),
        Step(index=1, observation=page, completion=None, action=ClickId(id=1)),
        Step(index=2, observation=page, completion=None, action=Answer(text="done")),
    )
    episode = ended(of, "done").model_copy(update={"steps": steps})
    verdict = await AnswerJudge(requests=lambda _: log(sent("/orders"))).judge(episode)
    assert verdict.reward == 1 and verdict.evidence_steps == (1,)
    assert verdict.criteria == {"1: text": True, f"2: must 1: POST {SHOP}/orders": True}
    assert (await AnswerJudge().judge(episode)).reward is None

    def damaged(_: Trajectory) -> RequestLog | None:
        raise CorruptRequests("network.jsonl is damaged")

    assert (await AnswerJudge(requests=damaged).judge(episode)).reward is None
    silent = ended(task({"kind": "network", "must": [ORDER]}), stop=StopReason.MAX_STEPS)
    assert (await AnswerJudge(requests=lambda _: log()).judge(silent)).reward == 0


REQUESTS = st.builds(
    sent,
    st.sampled_from(["/orders", "/orders/7", "/cart?x=1"]),
    st.sampled_from(["GET", "POST", "DELETE"]),
    status=st.sampled_from([200, 302, 404]),
    body=st.sampled_from(['{"qty": 2}', '{"qty": 3}', "qty=2", ""]),
)
RULES = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["POST", "DELETE", "write"]),
        "url": st.sampled_from([{"url": f"{SHOP}/orders"}, {"url": f"{SHOP}/orders", "path": "prefix"}]),
    },
    optional={
        "body": st.sampled_from([{"has_json": {"qty": 2}}, {"has_fields": {"qty": "2"}}, {"has_text": ["qty"]}]),
        "status": st.sampled_from(["ok", "any"]),
    },
)
EXPECTATIONS = st.one_of(
    st.fixed_dictionaries({"must": st.lists(RULES, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"must_not": st.lists(RULES, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"must": st.lists(RULES | RULES.map(lambda rule: rule | {"most": 1}), min_size=1, max_size=1),
                           "must_not": st.lists(RULES, max_size=1)}),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(EXPECTATIONS, st.lists(REQUESTS, max_size=6), st.data())
def test_a_poorer_record_never_decides_otherwise(
    expect: dict[str, Any], requests: list[RequestRecord], data: st.DataObject
) -> None:
    """Whatever is left out of a complete record, and said to be: the result is the same, or undecided."""
    whole = passed(expect, log(*requests))
    assert whole is not None
    assert passed(expect, log(*data.draw(st.permutations(requests)))) is whole, "order does not count"
    poorer, dropped = [], {"dropped_writes": 0, "dropped_reads": 0}
    for request in requests:
        match data.draw(st.sampled_from(["whole", "dropped", "cut", "unanswered", "hidden", "removed"])):
            case "dropped":
                dropped["dropped_writes" if request.is_write else "dropped_reads"] += 1
                continue
            case "cut":
                changes: dict[str, Any] = {"body": (request.body or "")[:3], "body_cut": True}
            case "unanswered":
                changes = {"status": None}
            case "hidden":
                changes = {"body": None}
            case "removed":
                changes = {
                    "body": (request.body or "").replace("2", f'"{REMOVED}"').replace(f'="{REMOVED}"', f"={REMOVED}")
                }
            case _:
                changes = {}
        poorer.append(request.model_copy(update=changes))
    assert passed(expect, log(*poorer, **dropped)) in (whole, None)


@settings(deadline=None, max_examples=60)
@given(
    st.text(max_size=100) | st.sampled_from(["=" * 2_000, "[" * 2_000, "--B\r\n" * 500, "a&" * 2_000]),
    st.sampled_from(
        [JSON, FORM, "", "multipart/form-data; boundary=B", "multipart/form-data", "multipart/mixed; charset=x"]
    ),
    st.booleans(),
    st.sampled_from([{"has_json": {"a": 1}}, {"has_fields": {"a": "1"}}, {"has_text": ["a=1"]}]),
)
def test_any_body_has_a_result(body: str, content_type: str, base64: bool, rules: dict[str, Any]) -> None:
    request = sent("/orders", body=body.encode("utf-8", "replace").decode(), content_type=content_type, base64=base64)
    assert body_fits(BodyRules.model_validate(rules), request)[0] in (True, False, None)
