"""Rows of other benchmarks become tasks; a row that is none is told with its reason, and stops nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.types import Task
from environments.miniwob.browsergym import NoSuchTask, tasks_of
from environments.taskfiles.fields import BadRow
from environments.taskfiles.reading import Reading, open_source, read_tasks, task_of
from environments.taskfiles.rows import Rejected
from environments.taskfiles.webarena_verified import expectation
from environments.taskfiles.webvoyager import answers_of, with_answer
from judging.verifiers.mapping import expectation_of

SITES = {"shopping": "http://10.0.0.7:7770/", "map": "http://10.0.0.7:3000"}
READING = Reading(split="heldout", sites=tuple(SITES.items()))
VOYAGER = {"web_name": "Google Flights", "id": "Google Flights--3", "ques": "Find one.", "web": "https://f.example/"}
MIND = {
    "task_id": "a1",
    "confirmed_task": "Find one.",
    "website": "f.example",
    "reference_length": 7,
    "level": "medium",
}


def webarena(*evaluators: dict[str, Any], site: str = "shopping") -> dict[str, Any]:
    return {
        "sites": [site],
        "task_id": 21,
        "intent_template_id": 222,
        "start_urls": [f"__{site.upper()}__/p.html"],
        "intent": "Find one.",
        "eval": list(evaluators),
    }


def retrieved(*data: Any, status: str = "SUCCESS") -> dict[str, Any]:
    expected = {"task_type": "retrieve", "status": status, "retrieved_data": list(data)}
    return {"evaluator": "AgentResponseEvaluator", "expected": expected}


def event(method: str, url: str = "__SHOPPING__/cart", **more: Any) -> dict[str, Any]:
    rule = {
        "evaluator": "NetworkEventEvaluator",
        "expected": {"http_method": method, "url": url, **more.pop("parts", {})},
    }
    return rule | more


DONE = {
    "evaluator": "AgentResponseEvaluator",
    "expected": {"task_type": "mutate", "status": "SUCCESS", "retrieved_data": None},
}


def test_webvoyager() -> None:
    task = task_of(VOYAGER, READING)
    assert (task.id, task.domain, task.split) == ("Google_Flights--3", "Google Flights", "heldout")
    answers = answers_of({"Google Flights": {"answers": [{"id": 3, "type": "golden", "ans": "42 EUR"}]}})
    assert with_answer(task, answers).reference_answer == "42 EUR"
    answers = answers_of({"Google Flights": {"answers": [{"id": 3, "type": "possible", "ans": "42 EUR"}]}})
    possible = with_answer(task, answers)
    assert possible.reference_answer is None and possible.labels["possible_answer"] == "42 EUR"


@pytest.mark.parametrize(
    ("changed", "difficulty"),
    [({}, 4), ({"level": "hard"}, 7), ({"level": None}, 4), ({"level": None, "reference_length": 3}, 1)],
)
def test_online_mind2web(changed: dict[str, Any], difficulty: int) -> None:
    task = task_of(MIND | changed, READING)
    assert (task.difficulty, task.start_url) == (difficulty, "https://f.example")


@pytest.mark.parametrize(
    ("evaluators", "kind", "expected"),
    [
        ([retrieved(6)], "number", {"value": 6}),
        ([retrieved("Sprite")], "text", {"any_of": ["Sprite"]}),
        ([retrieved(["Sprite", "Band"])], "text", {"any_of": ["Sprite", "Band"]}),
        ([retrieved("a", "b")], "set", {"items": ["a", "b"]}),
        ([retrieved({"name": "x"})], "json", {"value": [{"name": "x"}], "unordered": [""]}),
        ([DONE, event("POST", parts={"post_data": {"qty": "2"}})], "network", None),
        ([DONE, event("GET", parts={"query_params": {"q": "lamp"}})], "page", None),
        ([retrieved("a"), event("POST", should_not_exist=True)], "all", None),
    ],
)
def test_webarenas_evaluators_become_expectations(
    evaluators: list[dict[str, Any]], kind: str, expected: dict[str, Any] | None
) -> None:
    task = task_of(webarena(*evaluators), READING)
    found = expectation_of(task)
    assert found is not None and found.kind == kind and task.expect is not None
    assert expected is None or task.expect == {"kind": kind} | expected
    assert task.start_url == "http://10.0.0.7:7770/p.html" and task.labels["template"] == "webarena-222"
    if kind in ("network", "page"):
        assert "http://10.0.0.7:7770/cart" in json.dumps(task.expect)


@pytest.mark.parametrize(
    "evaluators",
    [
        [retrieved("a", ["b", "c"])],
        [retrieved({"name": ["x", "y"]})],
        [retrieved(status="NOT_FOUND_ERROR")],
        [DONE, event("POST", parts={"headers": {"a": "b"}})],
        [DONE, event("POST", ignored_query_params_patterns=["^x"])],
        [DONE, event("POST", parts={"post_data": {"a": {"b": 1}}})],
        [{"evaluator": "Other", "expected": {}}],
        [DONE, event("GET", last_event_only=False)],
        [DONE],
    ],
)
def test_what_our_verifiers_would_decide_otherwise_has_no_expectation(evaluators: list[dict[str, Any]]) -> None:
    assert task_of(webarena(*evaluators), READING).expect is None


def test_a_site_without_an_address_leaves_its_tasks_out(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text(json.dumps([webarena(retrieved(1)), webarena(retrieved(1), site="gitlab")]))
    kept, left = read_tasks(open_source(str(path)), READING)
    assert isinstance(kept, Task) and isinstance(left, Rejected) and "no address for gitlab" in left.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
known = st.sampled_from(
    ["task_id", "confirmed_task", "website", "level", "ques", "web", "id", "intent", "start_urls", "eval"]
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(known, json_values, max_size=8))
def test_no_row_does_harm(row: dict[str, Any]) -> None:
    try:
        assert isinstance(task_of(row, READING), Task)
    except BadRow as error:
        assert str(error)


@settings(max_examples=20)
@given(st.lists(st.dictionaries(st.sampled_from(["evaluator", "expected", "headers"]), json_values)))
def test_no_evaluator_does_harm(evaluators: list[dict[str, Any]]) -> None:
    assert expectation(evaluators, SITES) is None or isinstance(evaluators, list)


def test_browsergyms_ids_of_miniwob_are_families_here() -> None:
    tasks = tasks_of("browsergym/miniwob.click-button", split="heldout", count=2)
    assert [task.id for task in tasks] == ["click-button.1000000", "click-button.1000001"]
    assert {task.split for task in tasks} == {"heldout"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("browsergym/miniwob.no-such", "not among the families"),
        ("browsergym/webarena.4", "import webarena-verified"),
        ("workarena.x", "no environment here"),
        ("\x1b[1m", "expected an id such as"),
    ],
)
def test_other_ids_are_refused(name: str, words: str) -> None:
    with pytest.raises(NoSuchTask, match=words):
        tasks_of(name, split="train", count=1)
