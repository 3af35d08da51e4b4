"""Parts of a task: one for each group of facts, easier than the whole, by WebGym's rule."""

from typing import Any

import pytest

from agent.types import Task
from environments.taskfiles.decomposing import PART_OF, groups_of, parts_of
from environments.taskfiles.webgym import from_webgym

ROW: dict[str, Any] = {
    "task_id": 8,
    "task_name": "Plan a trip to Oslo.",
    "website": "https://travel.example",
    "domain": "Travel",
    "definite_answer": "SK 123, Hotel Nord",
    "evaluator_reference": [
        {"id": 1, "description": "the flight", "facts": ["It goes to Oslo.", "It leaves on Monday.", "It is direct."]},
        {"id": 2, "description": "the hotel", "facts": ["It is near the station."]},
    ],
}


def task_of(**changed: Any) -> Task:
    return from_webgym(ROW | changed, environment="live", split="heldout", max_steps=30)


def test_every_group_of_facts_becomes_an_easier_task() -> None:
    whole = task_of()
    flight, hotel = parts_of(whole)
    assert (flight.id, hotel.id) == ("8.part1", "8.part2")
    assert flight.goal == "Plan a trip to Oslo.\nDo only this part of it: the flight"
    assert (flight.difficulty, hotel.difficulty, whole.difficulty) == (3, 1, 4)
    assert (*flight.rubric, *hotel.rubric) == whole.rubric
    for part in (flight, hotel):
        assert part.reference_answer is None, "the answer is that of the whole task"
        assert (part.split, part.start_url, part.max_steps) == ("heldout", whole.start_url, 30)
        assert part.labels[PART_OF] == "8" and parts_of(part) == []
        assert not any(fact.partition("] ")[2] in part.goal for fact in whole.rubric), "a fact tells the answer"


@pytest.mark.parametrize(
    ("changed", "least"),
    [
        ({}, 4),
        ({"canary": True}, 3),
        ({"evaluator_reference": ROW["evaluator_reference"][:1]}, 3),
        ({"evaluator_reference": ["It goes to Oslo.", "It leaves on Monday.", "It is direct."]}, 1),
        ({"evaluator_reference": None}, 1),
    ],
)
def test_a_small_task_and_one_that_nobody_can_do_have_no_parts(changed: dict[str, Any], least: int) -> None:
    assert parts_of(task_of(**changed), least_facts=least) == []


def test_a_group_without_a_description_makes_no_part() -> None:
    facts = [{"id": 1, "description": "", "facts": ["It goes to Oslo."]}, *ROW["evaluator_reference"]]
    assert list(groups_of(task_of(evaluator_reference=facts))) == ["the flight", "the hotel"]


def test_long_ids_stay_apart_and_short_enough() -> None:
    ids = [part.id for end in "ab" for part in parts_of(task_of(task_id="x" * 127 + end))]
    assert len(set(ids)) == 4 and max(map(len, ids)) <= 128
