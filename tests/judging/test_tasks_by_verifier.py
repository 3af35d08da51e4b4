"""`rl-loop tasks check` says which verifier a file's tasks have, and names the tasks whose expectation is invalid."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from environments.taskfiles.reading import Reading, open_source, read_tasks
from flows.commands.tasks import tasks_app
from judging.verifiers.mapping import expectation_of
from judging.verifiers.task_counts import LISTED, VerifierCounts
from storage.errors import LoopError


def rows(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def webgym(number: int, answer: str = "", rubric: list[str] | None = None) -> dict[str, Any]:
    return {
        "task_id": number,
        "task_name": "Look.",
        "website": "a.example",
        "definite_answer": answer,
        "evaluator_reference": rubric or [],
    }


def test_tasks_are_counted_by_their_verifier(tmp_path: Path) -> None:
    path = rows(
        tmp_path / "tasks.jsonl",
        webgym(1, "42 EUR"),
        webgym(2, "Paris", ["it is named"]),
        webgym(3, rubric=["it is named"]),
        webgym(4),
        {"id": "p5", "task": "Which plan?", "answer": '{"plan": "Basic"}', "start_url": "https://a.example"},
        {"id": "p6", "task": "Order.", "start_url": "a.example", "expect": {"kind": "page", "title": "Ordered"}},
    )
    done = CliRunner().invoke(tasks_app, ["check", str(path)])
    assert done.exit_code == 0
    expected = "verifiers: json 1, number 1, page 1, text 1; no verifier: 2, of which 1 have a rubric"
    assert done.stdout.splitlines()[1] == expected


def test_an_invalid_expectation_is_named(tmp_path: Path) -> None:
    path = rows(tmp_path / "tasks.jsonl", webgym(1, '{"a": 1, "a": 2}'), webgym(2, "42"))
    done = CliRunner().invoke(tasks_app, ["check", str(path)])
    assert isinstance(done.exception, LoopError) and "1 tasks of" in str(done.exception)
    assert done.stderr == "task 1: reference_answer: a key is there twice\n"


def test_few_of_many_invalid_expectations_are_kept(tmp_path: Path) -> None:
    path = rows(tmp_path / "tasks.jsonl", *(webgym(number, '{"a": NaN}') for number in range(LISTED + 5)))
    counts = VerifierCounts()
    for task in read_tasks(open_source(str(path)), Reading()):
        counts.add(task)  # ty: ignore[invalid-argument-type]
    assert (counts.invalid, len(counts.reasons)) == (LISTED + 5, LISTED)


def test_an_expectation_in_a_dashboard_row_is_read_and_written(tmp_path: Path) -> None:
    path = rows(tmp_path / "tasks.jsonl", {"id": "p", "task": "Go.", "expect": {"kind": "set", "items": ["a"]}})
    out = tmp_path / "out.json"
    for form in ("dashboard", "ours"):
        assert CliRunner().invoke(tasks_app, ["convert", str(path), str(out), "--to", form]).exit_code == 0
        (task,) = read_tasks(open_source(str(out)), Reading())
        expected = expectation_of(task)  # ty: ignore[invalid-argument-type]
        assert expected is not None and expected.kind == "set"
