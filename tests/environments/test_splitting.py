"""Splits are disjoint, complete and repeatable; counts add up; a card belongs to the bytes of one file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.types import Task
from environments.taskfiles.card import Card, card_of, card_path, card_text, difference, read_card
from environments.taskfiles.counting import FACETS, Measured, TaskCounts
from environments.taskfiles.rows import TaskFileError
from environments.taskfiles.splitting import CannotSplit, count_units, heldout_units, unit_of, with_split
from environments.taskfiles.writing import write_tasks

units = st.dictionaries(st.text(min_size=1, max_size=9), st.integers(1, 50), min_size=2, max_size=40)
shares = st.floats(0.001, 0.999)


def task(number: int, goal: str = "Look.", host: str = "a.example", domain: str = "Travel") -> Task:
    return Task(id=str(number), environment="live", goal=goal, start_url=f"https://{host}/", domain=domain)


@given(units, shares, st.integers(0, 2**31))
def test_a_split_has_two_sides_and_is_the_same_for_a_seed(counts: dict[str, int], share: float, seed: int) -> None:
    heldout = heldout_units(counts, share=share, seed=seed)
    assert heldout and heldout < counts.keys()
    assert heldout == heldout_units(dict(reversed(counts.items())), share=share, seed=seed)


@given(st.integers(20, 300), shares)
def test_units_of_one_task_are_split_to_the_task(count: int, share: float) -> None:
    heldout = heldout_units({str(number): 1 for number in range(count)}, share=share, seed=1)
    assert abs(len(heldout) - min(max(share * count, 1), count - 1)) <= 0.5


def test_equal_tasks_under_two_ids_stay_together() -> None:
    tasks = [task(number, goal=f"Find {number // 2}.") for number in range(40)]
    heldout = heldout_units(count_units(tasks, "task"), share=0.3, seed=4)
    split = [with_split(one, heldout, "task").split for one in tasks]
    assert split[::2] == split[1::2] and set(split) == {"train", "heldout"}


def test_a_task_without_the_unit_is_named() -> None:
    with pytest.raises(CannotSplit, match="task 7 has neither a label template nor a domain; split by task"):
        unit_of(task(7, domain=""), "template")
    with pytest.raises(CannotSplit, match="task 7 has no start_url; split by task"):
        unit_of(Task(id="7", environment="shop"), "site")
    with pytest.raises(CannotSplit, match="expected two units or more to split, found 1"):
        heldout_units(count_units([task(1), task(2)], "site"), share=0.5, seed=0)


@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["a", "b"]), st.integers(0, 3), st.integers(3, 9))))
def test_every_property_counts_every_task(rows: list[tuple[int, str, int, int]]) -> None:
    measured = {str(place): Measured(wins, judged) for place, (_, _, wins, judged) in enumerate(rows)}
    tasks = [
        Task(id=str(place), environment="live", domain=domain, difficulty=difficulty)
        for place, (difficulty, domain, _, _) in enumerate(rows)
    ]
    counts = TaskCounts(measured).add_all(tasks)
    for facet in FACETS:
        found = counts.by[facet].values()
        assert sum(one.tasks for one in found) == counts.tasks == len(rows)
        assert sum(one.judged for one in found) == sum(one.judged for one in measured.values())


def test_a_card_belongs_to_the_bytes_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    tasks = [task(1), task(2, host="b.example")]
    write_tasks(path, tasks)
    card = card_of(path, TaskCounts().add_all(tasks), licence="cc-by-4.0", source="by hand: \"'x")
    card_path(path).write_text(card_text(card))
    assert read_card(card_path(path)) == card
    assert (card.tasks, card.sites, card.splits) == (2, 2, {"train": 2})
    assert difference(path, card) == ""
    path.write_text(path.read_text() + "\n")
    assert "is not the file of its card: expected SHA-256" in difference(path, card)


@pytest.mark.parametrize("text", ["", "no card", "---\n- a\n---\n", "---\ntasks: [\n---\n", "---\nname: a\n---\n"])
def test_a_damaged_card_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.card.md"
    path.write_text(text)
    with pytest.raises(TaskFileError, match="is no dataset card"):
        read_card(path)


def test_a_card_has_single_lines_only() -> None:
    with pytest.raises(ValueError, match="pattern"):
        Card(name="a", license="mit\n---\n", tasks=0, sha256="0" * 64)
