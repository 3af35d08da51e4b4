"""Files of tasks: what we write is read back, what others write is understood, and no row can do harm."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.types import Task
from environments.taskfiles.dashboard import from_dashboard, to_dashboard
from environments.taskfiles.fields import NO_ANSWER
from environments.taskfiles.reading import Reading, Rejected, TaskFileError, open_source, read_tasks
from environments.taskfiles.table import TaskTable
from environments.taskfiles.webgym import facts_of, from_webgym, to_webgym
from environments.taskfiles.writing import TaskFormat, write_tasks

LIVE = Reading()
WEBGYM = {
    "task_id": 17,
    "task_name": "Find the cheapest flight.",
    "domain": "Travel",
    "subdomain": "Flights",
    "website": "www.example.com/flights",
    "difficulty": 2,
    "evaluator_reference": [{"id": 1, "description": "price", "facts": ["it is named", "it is in EUR"]}],
    "definite_answer": "42 EUR",
}

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).map(str.strip).filter(bool)
tasks = st.builds(
    Task,
    id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True),
    environment=st.just("live"),
    goal=texts,
    start_url=st.sampled_from(["https://a.example/x?y=1", "http://127.0.0.1:8080/"]),
    domain=texts,
    max_steps=st.just(30),
    difficulty=st.integers(1, 99),
    reference_answer=st.none() | texts.filter(lambda text: text.lower() not in NO_ANSWER),
    rubric=st.lists(texts, max_size=3).map(tuple),
)


def read(path: Path, reading: Reading = LIVE) -> list[Task | Rejected]:
    return list(read_tasks(open_source(str(path)), reading))


def written(path: Path, *rows: Any) -> Path:
    """A JSONL file; text is written as it is."""
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


@settings(deadline=None, max_examples=40)
@given(tasks, st.dictionaries(st.just("subdomain"), texts))
def test_webgym_rows_come_back(task: Task, labels: dict[str, str]) -> None:
    task = task.model_copy(update={"labels": labels})
    row = json.loads(json.dumps(to_webgym(task)))
    assert from_webgym(row, environment="live", split="train", max_steps=30) == task


@settings(deadline=None, max_examples=40)
@given(tasks)
def test_dashboard_rows_come_back(task: Task) -> None:
    row = json.loads(json.dumps(to_dashboard(task)))
    assert from_dashboard(row, environment="live", split="heldout", start_url="", max_steps=10) == task


@pytest.mark.parametrize("form", ["ours", "webgym", "dashboard"])
def test_a_file_of_each_format_comes_back(tmp_path: Path, form: TaskFormat) -> None:
    wanted = [
        Task(
            id=f"t{n}", environment="live", goal="Grüße 👋 {}", start_url="https://a.example/", max_steps=30, domain="d"
        )
        for n in range(3)
    ]
    assert write_tasks(tmp_path / "tasks", wanted, form) == 3
    assert read(tmp_path / "tasks") == wanted
    table = TaskTable(open_source(str(tmp_path / "tasks")), LIVE)
    assert table.tasks(table.entries[::-1]) == wanted[::-1]


def test_a_webgym_row(tmp_path: Path) -> None:
    [task] = read(written(tmp_path / "train.jsonl", WEBGYM), Reading(split="heldout", max_steps=50))
    assert task == Task(
        id="17",
        environment="live",
        goal="Find the cheapest flight.",
        start_url="https://www.example.com/flights",
        domain="Travel",
        max_steps=50,
        split="heldout",
        difficulty=2,
        reference_answer="42 EUR",
        rubric=("[Group 1: price] it is named", "[Group 1: price] it is in EUR"),
        labels={"subdomain": "Flights"},
    )


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        ("one fact", ("one fact",)),
        (["one", "two"], ("one", "two")),
        ([{"description": "one", "difficulty": 3}], ("one",)),
        (
            [{"id": "a", "description": "prices", "facts": ["one", "two"]}],
            ("[Group a: prices] one", "[Group a: prices] two"),
        ),
        # As a dataset's table has them: every key in every entry, null where there was none.
        ([{"id": None, "description": "one", "facts": None, "difficulty": 1}], ("one",)),
        ([], ()),
        ("", ()),
        (None, ()),
        (float("nan"), ()),
    ],
)
def test_the_shapes_of_a_rubric(value: object, facts: tuple[str, ...]) -> None:
    assert facts_of(value) == facts


@pytest.mark.parametrize("nothing", ["", "  ", None, "None", "null", "NaN", float("nan")])
def test_no_reference_answer(tmp_path: Path, nothing: object) -> None:
    [task] = read(written(tmp_path / "t", WEBGYM | {"definite_answer": nothing}))
    assert isinstance(task, Task) and task.reference_answer is None


@pytest.mark.parametrize(
    ("website", "start_url"),
    [
        ("example.com", "https://example.com"),
        ("http://example.com", "http://example.com"),
        ("httpbin.org/get", "https://httpbin.org/get"),
        ("localhost:3000/a", "https://localhost:3000/a"),
    ],
)
def test_websites_without_a_scheme(tmp_path: Path, website: str, start_url: str) -> None:
    [task] = read(written(tmp_path / "t", WEBGYM | {"website": website}))
    assert isinstance(task, Task) and task.start_url == start_url
    own = {"id": "a", "environment": "live", "goal": "Look.", "start_url": website}
    (task,) = read(written(tmp_path / "own.jsonl", own))
    assert isinstance(task, Task) and task.start_url == start_url


HOSTILE: list[tuple[str, str]] = [
    ('{"task_id": 1', "not JSON"),
    ("[" * 100_000, "nested too deeply"),
    ('{"task_id": ' + "[" * 100_000 + "}", "nested too deeply"),
    ("17", "expected an object, found 17"),
    ("{}", "found none"),
    ('{"x": 1}', "expected the keys of WebGym"),
    (json.dumps(WEBGYM | {"task_id": "../../etc/x"}), "task_id: expected at most 128 letters"),
    (json.dumps(WEBGYM | {"task_id": "x" * (1 << 19)}), "(524290 characters)"),
    ('{"task_id": "' + "x" * (1 << 21) + '"}', "longer than 1 MiB"),
    (json.dumps(WEBGYM | {"task_id": True}), "task_id: expected text, found True"),
    (json.dumps(WEBGYM | {"task_id": None}), "task_id: missing"),
    (json.dumps(WEBGYM | {"task_name": " "}), "task_name: missing"),
    (json.dumps(WEBGYM | {"task_name": 3}), "task_name: expected text, found 3"),
    (json.dumps(WEBGYM | {"task_name": "a \ud800"}), "task_name: half of a surrogate pair"),
    (json.dumps(WEBGYM | {"difficulty": float("inf")}), "difficulty: expected a whole number, found inf"),
    (json.dumps(WEBGYM | {"difficulty": 2.5}), "difficulty: expected a whole number, found 2.5"),
    (json.dumps(WEBGYM | {"difficulty": 0}), "difficulty: input should be greater than or equal to 1, found 0"),
    (json.dumps(WEBGYM).replace('"difficulty": 2', '"difficulty": ' + "9" * 5_000), "a number that is too long"),
    (json.dumps(WEBGYM | {"website": "file:///etc/passwd"}), "website: expected an http or https address"),
    (json.dumps(WEBGYM | {"website": "http://[::1"}), "website: not a web address"),
    (json.dumps(WEBGYM | {"website": ""}), "website: missing"),
    (json.dumps(WEBGYM | {"evaluator_reference": 7}), "evaluator_reference: expected text or a list"),
    (json.dumps(WEBGYM | {"evaluator_reference": [7]}), "evaluator_reference: expected facts, found 7"),
    (json.dumps(WEBGYM | {"evaluator_reference": [{"facts": [" "]}]}), "evaluator_reference.facts: missing"),
    (json.dumps({"id": "a", "environment": "live", "golf": 1}), "golf: extra inputs are not permitted"),
    (json.dumps({"id": "a", "task": "x", "split": "dev"}), "split: expected train or heldout"),
]


@pytest.mark.parametrize(("line", "reason"), HOSTILE, ids=[reason[:25] for _, reason in HOSTILE])
def test_a_bad_row_is_reported_with_its_line_and_stops_nothing(tmp_path: Path, line: str, reason: str) -> None:
    before, bad, after = read(written(tmp_path / "t", WEBGYM, line, "", WEBGYM | {"task_id": 18}))
    assert isinstance(before, Task) and isinstance(after, Task)
    assert isinstance(bad, Rejected) and bad.number == 2
    assert reason in bad.reason and len(bad.reason) < 300


def test_an_id_is_taken_once(tmp_path: Path) -> None:
    _, again = read(written(tmp_path / "t", WEBGYM, WEBGYM))
    assert again == Rejected(2, "id '17' is there twice; an earlier row has it too")


def test_a_row_that_has_another_task_by_now_is_not_taken_for_it(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", WEBGYM, WEBGYM | {"task_id": 18})
    table = TaskTable(open_source(str(path)), LIVE)
    assert [task.id for task in table.tasks(table.entries)] == ["17", "18"]
    written(path, WEBGYM, WEBGYM | {"task_id": 19})
    with pytest.raises(TaskFileError, match="changed while it was in use: expected task 18 where 19 is now"):
        table.tasks(table.entries)


def test_encodings(tmp_path: Path) -> None:
    row = json.dumps(WEBGYM | {"task_name": "Grüße"}, ensure_ascii=False)
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbf" + row.encode() + b"\r\n")
    [task] = read(path)
    assert isinstance(task, Task) and task.goal == "Grüße"
    assert TaskTable(open_source(str(path)), LIVE).entries[0].id == "17"
    path.write_bytes(row.encode("latin-1"))
    [rejected] = read(path)
    assert isinstance(rejected, Rejected) and "not UTF-8 at byte" in rejected.reason
    path.write_bytes(row.encode("utf-16"))
    with pytest.raises(TaskFileError, match="is UTF-16"):
        read(path)
    path.write_bytes(b'[{"id": "a", "task": "\xe9"}]')
    with pytest.raises(TaskFileError, match="not UTF-8"):
        read(path)


def test_a_tasks_json_of_the_dashboard(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(
        '{"title": "ten tasks",\n "tasks": [\n{"id": "p1", "task": "How many?",\n "answer": {"n": 3}},\n 7\n]}'
    )
    good, bad = read(path, Reading(start_url="http://127.0.0.1:3000/"))
    assert isinstance(good, Task)
    assert (good.id, good.goal, good.reference_answer, good.start_url) == (
        "p1",
        "How many?",
        '{"n": 3}',
        "http://127.0.0.1:3000/",
    )
    assert bad == Rejected(5, "expected an object, found 7")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ('[{"id": "a", "task": "x"},\n{"id": ', [2]),
        ('[\n{"id": "a", "task": "x"}\n{"id": "b"}]', [3]),
        ('[{"id": "a", "task": "x"},\n' + "[" * 100_000, [2]),
    ],
)
def test_a_broken_array_gives_what_came_before(tmp_path: Path, text: str, numbers: list[int]) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(text)
    first, *rest = read(path)
    assert isinstance(first, Task)
    assert [row.number for row in rest if isinstance(row, Rejected)] == numbers


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{\n"rows": []\n}', "line 1: not JSON"),
        ('{"tasks": \n', "line 1: not JSON"),
        ('{"tasks": []}', "has no train tasks"),
        ("", "has no train tasks"),
    ],
)
def test_what_has_no_tasks_at_all(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    with pytest.raises(TaskFileError, match=sentence):
        TaskTable(open_source(str(path)), LIVE)
    with pytest.raises(TaskFileError, match="there is no task file"):
        open_source(str(tmp_path / "none"))


def test_a_run_wants_the_whole_file(tmp_path: Path) -> None:
    path = written(tmp_path / "t", WEBGYM, *["{"] * 5)
    with pytest.raises(TaskFileError) as caught:
        TaskTable(open_source(str(path)), LIVE)
    assert "5 rows are no tasks (line 2: not JSON" in str(caught.value)
    assert "and 2 more); `rl-loop tasks convert`" in str(caught.value)


def test_a_long_file_is_streamed(tmp_path: Path) -> None:
    """Memory for 6,000 rows is that of the hashes of their ids, less than the file has bytes."""
    path = tmp_path / "long.jsonl"
    with path.open("w") as file:
        for number in range(6_000):
            file.write(json.dumps({"id": f"t{number}", "task": "x" * 200}) + "\n")
    tracemalloc.start()
    try:
        count = sum(isinstance(row, Task) for row in read_tasks(open_source(str(path)), LIVE))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 6_000
    assert peak < 6_000 * 200


def test_a_dataset_of_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    folder = tmp_path / "webgym"
    folder.mkdir()
    written(folder / "train.jsonl", WEBGYM, WEBGYM | {"task_id": 18}, WEBGYM | {"task_id": 18})
    source = open_source(f"hf:{folder}#train")
    first, second, third = read_tasks(source, LIVE)
    assert isinstance(first, Task) and first.rubric == ("[Group 1: price] it is named", "[Group 1: price] it is in EUR")
    assert isinstance(second, Task) and second.id == "18"
    assert isinstance(third, Rejected) and third.number == 3
    with pytest.raises(TaskFileError, match=r"hf:.*none.* cannot be loaded"):
        list(open_source(f"hf:{tmp_path}/none").rows())
