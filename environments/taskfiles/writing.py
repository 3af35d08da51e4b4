"""Tasks -> a file in one of the formats, streamed and written atomically."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from agent.types import Task
from environments.taskfiles.dashboard import to_dashboard
from environments.taskfiles.webgym import to_webgym

TaskFormat = Literal["ours", "webgym", "dashboard"]


def write_tasks(path: Path, tasks: Iterable[Task], form: TaskFormat = "ours") -> int:
    """Writes a file of tasks; returns their number. `dashboard` is a JSON array, the others are JSON lines.

    Raises OSError if the file cannot be written; then it is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    line, before, between, after = SHAPES[form]
    count = 0
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(before)
            for task in tasks:
                file.write((between if count else "") + line(task))
                count += 1
            file.write(after if form == "dashboard" or count else "")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return count


def _webgym(task: Task) -> str:
    return json.dumps(to_webgym(task), ensure_ascii=False)


def _dashboard(task: Task) -> str:
    return json.dumps(to_dashboard(task), ensure_ascii=False)


SHAPES: dict[TaskFormat, tuple[Callable[[Task], str], str, str, str]] = {
    "ours": (Task.model_dump_json, "", "\n", "\n"),
    "webgym": (_webgym, "", "\n", "\n"),
    "dashboard": (_dashboard, "[\n", ",\n", "\n]\n"),
}
"""For each format: a task's serializer, and the text before, between and after the tasks."""
