"""Checks of the installed applications on changes that their scripted solutions made (scripts/record_changes.py)."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.types import Task
from environments.applications.installed import INSTALLED
from environments.bundled import KNOWN, application_environment
from environments.tasks.application import ApplicationEnvironment
from environments.tasks.changes import Change, Changes
from environments.tasks.templates import Ending

FOLDER = Path(__file__).with_name("recorded")
ENVIRONMENTS = {name: one.make() for name, one in INSTALLED.items()}
RECORDED = [(name, row) for name in INSTALLED for row in json.loads((FOLDER / f"{name}.json").read_text())]
CASES = pytest.mark.parametrize(("name", "row"), RECORDED, ids=[row["task"] for _, row in RECORDED])
VISITS = ("pretixbase_event_settingsstore/", "query/", "user_preferences/1/others")
EMPTY = (None, "")
Row = dict[str, Any]


def rewarded(name: str, task: Task, changes: list[Change], answer: str) -> bool:
    """True if the task's check accepts the end."""
    environment = ENVIRONMENTS[name]
    assert isinstance(environment, ApplicationEnvironment)
    template = environment.template(task)
    parameters = environment.parameters(task)
    return all(template.check(Ending(parameters, Changes(tuple(changes)), answer)).values())


def changes_of(row: Row) -> list[Change]:
    return [Change(*change) for change in row["changes"]]


def asked_for(row: Row) -> list[Change]:
    """Without what an application writes down when a page is looked at, and without fields that were and are empty."""
    found = [change for change in changes_of(row) if not change.path.startswith(VISITS)]
    return [change for change in found if change.before not in EMPTY or change.after not in EMPTY]


def test_every_template_is_recorded_and_has_a_rubric() -> None:
    for name, environment in ENVIRONMENTS.items():
        recorded = {row["task"].partition(".")[0] for found, row in RECORDED if found == name}
        assert recorded == set(environment.domains())
        for family in environment.domains("train"):
            assert len(environment.task(family, 0, "train").rubric) >= 2


def test_no_two_applications_have_a_family_of_the_same_name() -> None:
    families = [family for name in KNOWN for family in application_environment(name).domains()]
    assert len(set(families)) == len(families), "a mix of them has each task once"


@CASES
def test_what_the_script_did_is_rewarded_and_nothing_less_or_else_is(name: str, row: Row) -> None:
    environment = ENVIRONMENTS[name]
    assert isinstance(environment, ApplicationEnvironment)
    task, changes = environment.task_from_id(row["task"]), changes_of(row)
    assert rewarded(name, task, changes, row["answer"])
    assert not rewarded(name, task, [], "The task is done.")
    if asked_for(row):
        assert not rewarded(name, task, [], row["answer"]), "the change is wanted"
    else:
        assert not rewarded(name, task, [], ""), "the answer is wanted"
        assert not rewarded(name, task, [], f"not {row['answer']}")
    if (other := environment.misplay(task)) is not None:
        assert not rewarded(name, other, changes, row["answer"]), "done to something else"


@CASES
def test_another_task_s_changes_on_top_are_side_effects(name: str, row: Row) -> None:
    task, own = ENVIRONMENTS[name].task_from_id(row["task"]), changes_of(row)
    mine = {change.path for change in own}
    for found, other in RECORDED:
        more = [change for change in asked_for(other) if change.path not in mine]
        if found == name and more and other["task"].partition(".")[0] != task.domain:
            assert not rewarded(name, task, [*own, *more], row["answer"]), other["task"]


TABLES = sorted({(name, change.path.split("/")[0]) for name, row in RECORDED for change in asked_for(row)})


SAMPLES = {
    (name, change.path.split("/")[0]): change.after or change.before
    for name, row in RECORDED
    for change in asked_for(row)
    if change.path.count("/") == 1
}
"""A whole row of each table in which rows came or went."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.sampled_from(RECORDED), st.sampled_from(TABLES), st.integers(900_000, 999_999), st.booleans())
def test_any_other_row_that_is_new_changed_or_gone_costs_the_reward(
    case: tuple[str, Row], table: tuple[str, str], key: int, is_new: bool
) -> None:
    name, row = case
    if table[0] != name:
        return
    task = ENVIRONMENTS[name].task_from_id(row["task"])
    other = SAMPLES.get(table, {}) | {"id": key}
    other |= {column: key for column in other if column.endswith("_id")}
    change = Change(f"{table[1]}/{key}", None, other) if is_new else Change(f"{table[1]}/{key}", other, None)
    assert not rewarded(name, task, [*changes_of(row), change], row["answer"])
