"""Online-Mind2Web's rows (Xue et al. 2025): task_id, confirmed_task (or task_description), website, reference_length, level.

The level is kept as a label, and sets the difficulty so that easy, medium and hard are WebGym's bands 1-3, 4-6 and 7-.
Without a level it follows from `reference_length`, a person's number of steps, as the authors do: 1-5, 6-10, 11 and more.
"""

from collections.abc import Mapping
from typing import Any

from agent.types import Split, Task
from environments.taskfiles.fields import BadRow, id_of, make_task, shown, text_of, url_of, whole_number_of

NAMES = {"id": "task_id", "goal": "confirmed_task", "start_url": "website"}
LICENCE, SOURCE = "cc-by-4.0", "Online-Mind2Web (Xue et al. 2025, arXiv 2504.01382)"
DIFFICULTY = {"easy": 1, "medium": 4, "hard": 7}


def is_mind2web(row: Mapping[str, Any]) -> bool:
    """True for a row of this format: WebGym's rows have a task_id too, but another name for the goal."""
    return "task_id" in row and ("confirmed_task" in row or "task_description" in row)


def from_mind2web(row: Mapping[str, Any], *, environment: str, split: Split, max_steps: int) -> Task:
    """Converts a row to a task. Raises `BadRow`."""
    if not (website := url_of(row, "website")):
        raise BadRow("website: missing")
    length = whole_number_of(row, "reference_length")
    level = text_of(row, "level").lower() or _level(length)
    if level and level not in DIFFICULTY:
        raise BadRow(f"level: expected easy, medium or hard, found {shown(level)}")
    goal = "confirmed_task" if "confirmed_task" in row else "task_description"
    labels = {"level": level} | ({"reference_length": str(length)} if length is not None else {})
    fields = {
        "id": id_of(row, "task_id"),
        "environment": environment,
        "goal": text_of(row, goal, required=True),
        "start_url": website,
        "max_steps": max_steps,
        "split": split,
        "difficulty": DIFFICULTY.get(level, 1),
        "labels": {name: text for name, text in labels.items() if text},
    }
    return make_task(fields, NAMES)


def _level(length: int | None) -> str:
    if length is None:
        return ""
    return "easy" if length <= 5 else "medium" if length <= 10 else "hard"
