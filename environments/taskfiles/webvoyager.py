"""WebVoyager's rows (He et al. 2024, MIT licence): `{"web_name": "Google Flights", "id": "Google Flights--0", "ques", "web"}`.

Its reference answers are a file of their own. A `golden` one is the answer; a `possible` one is only an example, and
becomes the label `possible_answer`.
"""

import re
from collections.abc import Mapping
from typing import Any

from agent.types import Split, Task
from environments.taskfiles.fields import BadRow, id_of, make_task, text_of, url_of

NAMES = {"goal": "ques", "start_url": "web", "domain": "web_name"}
LICENCE, SOURCE = "mit", "WebVoyager (He et al. 2024, arXiv 2401.13919)"


def from_webvoyager(row: Mapping[str, Any], *, environment: str, split: Split, max_steps: int) -> Task:
    """Converts a row to a task. Raises `BadRow`."""
    if not (address := url_of(row, "web")):
        raise BadRow("web: missing")
    name = id_of(row, "id")
    fields = {
        "id": re.sub(r"[^A-Za-z0-9._-]", "_", name),
        "environment": environment,
        "goal": text_of(row, "ques", required=True),
        "start_url": address,
        "domain": text_of(row, "web_name"),
        "max_steps": max_steps,
        "split": split,
        "labels": {"webvoyager_id": name},
    }
    return make_task(fields, NAMES)


def answers_of(content: Any) -> dict[str, tuple[str, str]]:
    """Type and text of each reference answer, by the id of its task, from `reference_answer.json`. Raises `BadRow`."""
    if not isinstance(content, Mapping):
        raise BadRow("expected an object of sites, each with answers")
    found: dict[str, tuple[str, str]] = {}
    for site, entry in content.items():
        answers = entry.get("answers") if isinstance(entry, Mapping) else None
        if not isinstance(answers, list) or not all(isinstance(answer, Mapping) for answer in answers):
            raise BadRow(f"{site!s:.60}: expected a list of answers")
        for answer in answers:
            number = answer.get("id")
            found[f"{site}--{number}"] = (text_of(answer, "type"), text_of(answer, "ans"))
    return found


def with_answer(task: Task, answers: Mapping[str, tuple[str, str]]) -> Task:
    """The task with its reference answer, if there is one."""
    kind, answer = answers.get(task.labels.get("webvoyager_id", ""), ("", ""))
    if not answer:
        return task
    if kind == "golden":
        return task.model_copy(update={"reference_answer": answer})
    return task.model_copy(update={"labels": task.labels | {"possible_answer": answer}})
