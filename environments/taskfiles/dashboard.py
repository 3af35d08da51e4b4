"""The dashboard's rows: `{"id": "p1", "task": "Which plan sold most?", "answer": "{\\"plan\\": \\"Basic\\"}"}` and optional fields.

`answer` is JSON as text, or JSON; optional are start_url, domain, difficulty, max_steps, split, rubric, expect (an
object, as `Task.expect`), judge (a list, as `Task.judge`) and canary (true for a task that nobody can do). Other
fields are ignored.
"""

import json
from collections.abc import Mapping
from typing import Any

from agent.types import Split, Task
from environments.taskfiles.fields import (
    BadRow,
    flag_of,
    id_of,
    is_missing,
    make_task,
    shown,
    split_of,
    text_of,
    url_of,
    whole_number_of,
)

NAMES = {"goal": "task", "reference_answer": "answer"}


def from_dashboard(row: Mapping[str, Any], *, environment: str, split: Split, start_url: str, max_steps: int) -> Task:
    """Converts a row to a task. `start_url` is the default start address: the application's own. Raises `BadRow`."""
    steps, difficulty = whole_number_of(row, "max_steps"), whole_number_of(row, "difficulty")
    fields = {
        "id": id_of(row, "id"),
        "environment": environment,
        "goal": text_of(row, "task", required=True),
        "start_url": url_of(row, "start_url", default=start_url),
        "domain": text_of(row, "domain"),
        "max_steps": max_steps if steps is None else steps,
        "split": split_of(row, "split", split),
        "difficulty": 1 if difficulty is None else difficulty,
        "reference_answer": _answer(row.get("answer")),
        "expect": None if is_missing(row.get("expect")) else row["expect"],
        "rubric": _rubric(row.get("rubric")),
        "canary": flag_of(row, "canary"),
        "judge": () if is_missing(row.get("judge")) else row["judge"],
    }
    return make_task(fields, NAMES)


def to_dashboard(task: Task) -> dict[str, Any]:
    """Converts a task to a row, with its optional fields. The format has no field for seed and labels."""
    row: dict[str, Any] = {"id": task.id, "task": task.goal}
    if task.reference_answer is not None:
        row["answer"] = task.reference_answer
    if task.expect is not None:
        row["expect"] = task.expect
    row |= {"start_url": task.start_url, "difficulty": task.difficulty, "max_steps": task.max_steps}
    row |= {"split": task.split, "domain": task.domain}
    row |= {"canary": True} if task.canary else {}
    if task.judge:
        row["judge"] = list(task.judge)
    return row | ({"rubric": list(task.rubric)} if task.rubric else {})


def _answer(value: object) -> str | None:
    if is_missing(value):
        return None
    if isinstance(value, str):
        return text_of({"answer": value}, "answer")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode().decode()
    except (ValueError, RecursionError):
        raise BadRow(f"answer: not a JSON value: {shown(value)}") from None


def _rubric(value: object) -> tuple[str, ...]:
    if is_missing(value):
        return ()
    if not isinstance(value, list):
        raise BadRow(f"rubric: expected a list of facts, found {shown(value)}")
    return tuple(text_of({"rubric": fact}, "rubric", required=True) for fact in value)
