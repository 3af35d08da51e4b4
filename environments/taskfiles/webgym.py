"""WebGym's rows (microsoft/webgym_tasks): task_id, task_name, domain, subdomain, website, difficulty, evaluator_reference, definite_answer.

`evaluator_reference` has four shapes; all become a list of facts, as WebGym itself makes them:
    "a fact"     ["a fact", ..]     [{"description": "a fact", "difficulty": 1}, ..]
    [{"id": 1, "description": "prices", "facts": ["a fact", ..]}, ..]   ->   "[Group 1: prices] a fact"
"""

from collections.abc import Mapping
from typing import Any

from agent.types import Split, Task
from environments.taskfiles.fields import (
    NO_ANSWER,
    BadRow,
    flag_of,
    id_of,
    is_missing,
    make_task,
    shown,
    text_of,
    url_of,
    whole_number_of,
)

NAMES = {"id": "task_id", "goal": "task_name", "start_url": "website", "rubric": "evaluator_reference"}


def from_webgym(row: Mapping[str, Any], *, environment: str, split: Split, max_steps: int) -> Task:
    """Converts a row to a task. Without a difficulty, it is the number of facts. Raises `BadRow`."""
    rubric = facts_of(row.get("evaluator_reference"))
    difficulty = whole_number_of(row, "difficulty")
    if not (website := url_of(row, "website")):
        raise BadRow("website: missing")
    labels = {key: text for key in ("subdomain",) if (text := text_of(row, key))}
    if (level := whole_number_of(row, "attempt_level")) is not None:
        labels["attempt_level"] = str(level)
    fields = {
        "id": id_of(row, "task_id"),
        "environment": environment,
        "goal": text_of(row, "task_name", required=True),
        "start_url": website,
        "domain": text_of(row, "domain"),
        "max_steps": max_steps,
        "split": split,
        "difficulty": max(1, len(rubric)) if difficulty is None else difficulty,
        "reference_answer": _reference(row.get("definite_answer")),
        "rubric": rubric,
        "canary": flag_of(row, "canary"),  # our own addition to the format
        "labels": labels,
    }
    return make_task(fields, NAMES)


def to_webgym(task: Task) -> dict[str, Any]:
    """Converts a task to a row. WebGym's format has no field for seed, step budget, split, `expect` and `judge`."""
    row: dict[str, Any] = {
        "task_id": int(task.id) if task.id.isdigit() and str(int(task.id)) == task.id else task.id,
        "task_name": task.goal,
        "domain": task.domain,
        "subdomain": task.labels.get("subdomain", ""),
        "website": task.start_url,
        "difficulty": task.difficulty,
        "evaluator_reference": [{"description": fact, "difficulty": 1} for fact in task.rubric],
        "definite_answer": task.reference_answer or "",
    }
    if task.canary:
        row["canary"] = True
    if "attempt_level" in task.labels:
        row["attempt_level"] = int(task.labels["attempt_level"])
    return row


def facts_of(value: object) -> tuple[str, ...]:
    """The facts of a rubric in any of its four shapes. Raises `BadRow`."""
    if is_missing(value):
        return ()
    if isinstance(value, str):
        return (text,) if (text := text_of({"evaluator_reference": value}, "evaluator_reference")) else ()
    if not isinstance(value, list):
        raise BadRow(f"evaluator_reference: expected text or a list, found {shown(value)}")
    facts: list[str] = []
    for item in value:
        if isinstance(item, str):
            facts.append(_fact({"fact": item}, "fact"))
        elif isinstance(item, Mapping):
            facts += _facts_of_entry(item)
        else:
            raise BadRow(f"evaluator_reference: expected facts, found {shown(item)} among them")
    return tuple(facts)


def _facts_of_entry(entry: Mapping[str, Any]) -> list[str]:
    """One fact with a description, or a group of facts; a dataset has null where a key is missing."""
    facts = entry.get("facts")
    if facts is None:
        return [_fact(entry, "description")]
    if not isinstance(facts, list):
        raise BadRow(f"evaluator_reference.facts: expected a list, found {shown(facts)}")
    name = entry.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int | None):
        raise BadRow(f"evaluator_reference.id: expected a name or number, found {shown(name)}")
    head = f"[Group {'' if name is None else name}: {text_of(entry, 'description')}]"
    return [f"{head} {_fact({'facts': fact}, 'facts')}" for fact in facts]


def _fact(row: Mapping[str, Any], key: str) -> str:
    try:
        return text_of(row, key, required=True)
    except BadRow as error:
        raise BadRow(f"evaluator_reference.{error}") from None


def _reference(value: object) -> str | None:
    if is_missing(value):
        return None
    text = str(value) if isinstance(value, int | float) else text_of({"definite_answer": value}, "definite_answer")
    return None if text.lower() in NO_ANSWER else text
