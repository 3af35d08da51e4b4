"""Rows of any of the formats -> tasks. Which format it is, each row says by its keys."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.types import Split, Task
from environments.taskfiles.dashboard import from_dashboard
from environments.taskfiles.fields import BadRow, make_task, shown, url_of
from environments.taskfiles.huggingface import PREFIX, Dataset
from environments.taskfiles.rows import Rejected, Row, Source, TaskFileError, open_file
from environments.taskfiles.webgym import from_webgym

TOLD = 3
"""Rejected rows that an error quotes."""


class Reading(BaseModel):
    """What a foreign row does not say. Example: `Reading(environment="live", split="heldout")`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    environment: str = "live"
    """Which environment serves the tasks."""
    split: Split = "train"
    start_url: str = ""
    """Where a task of the dashboard begins that does not say so."""
    max_steps: int = Field(default=30, ge=1, le=1_000)


def open_source(name: str) -> Source:
    """A file of tasks, or a Hugging Face dataset as `hf:NAME#SPLIT`. Raises `TaskFileError`."""
    return Dataset(name) if name.startswith(PREFIX) else open_file(Path(name))


def read_tasks(source: Source, reading: Reading) -> Iterator[Task | Rejected]:
    """Every row as a task, or why it is none, one at a time. Raises `TaskFileError` if the source cannot be read at all."""
    for _, task in read_rows(source, reading):
        yield task


def read_rows(source: Source, reading: Reading) -> Iterator[tuple[int, Task | Rejected]]:
    """The same with the place of each row, for `task_at`."""
    seen: set[int] = set()
    for row in source.rows():
        if isinstance(row, Rejected):
            yield -1, row
            continue
        try:
            task = task_of(row.value, reading)
            _check_new(task.id, seen)
        except BadRow as error:
            yield row.place, Rejected(row.number, str(error))
        except RecursionError:
            yield row.place, Rejected(row.number, "nested too deeply")
        else:
            yield row.place, task


def task_at(source: Source, place: int, task_id: str, reading: Reading) -> Task:
    """One task of a source that `read_rows` has read. Raises `TaskFileError` if it is not there any more."""
    try:
        task = task_of(source.row(place), reading)
    except BadRow as error:
        raise TaskFileError(f"{source.name} was changed while it was in use: {error}") from None
    if task.id != task_id:
        message = f"expected task {task_id} where {task.id} is now; start again"
        raise TaskFileError(f"{source.name} was changed while it was in use: {message}")
    return task


def task_of(value: Any, reading: Reading) -> Task:
    """The task of one row. Raises `BadRow`."""
    if not isinstance(value, Mapping):
        raise BadRow(f"expected an object, found {shown(value)}")
    if "task_name" in value or "task_id" in value:
        return from_webgym(value, environment=reading.environment, split=reading.split, max_steps=reading.max_steps)
    if "environment" in value:
        return _own(value)
    if "task" in value:
        return from_dashboard(
            value,
            environment=reading.environment,
            split=reading.split,
            start_url=reading.start_url,
            max_steps=reading.max_steps,
        )
    keys = ", ".join(shown(key) for key in islice(value, 5)) or "none"
    raise BadRow(
        f"expected the keys of WebGym (task_id, task_name, ..), of the dashboard (id, task, ..) or ours, found {keys}"
    )


def refuse_rejected(source: Source, rejected: list[Rejected]) -> None:
    """Raises `TaskFileError` that quotes the first rejected rows, if there are any: a run plays whole files only."""
    if rejected:
        first = "; ".join(str(row) for row in rejected[:TOLD])
        more = f"; and {len(rejected) - TOLD} more" if len(rejected) > TOLD else ""
        raise TaskFileError(
            f"{source.name}: {len(rejected)} rows are no tasks ({first}{more}); "
            f"`rl-loop tasks convert` writes a file without them"
        )


def _own(value: Mapping[str, Any]) -> Task:
    """A row as `Task` is written, which knows everything itself."""
    task = make_task(value, {})
    return task.model_copy(update={"start_url": url_of(value, "start_url")})


def _check_new(task_id: str, seen: set[int]) -> None:
    """Raises `BadRow` for an id that was there before. 64 bits of a hash per id: a million ids take some 70 MB less than their text."""
    digest = int.from_bytes(hashlib.blake2b(task_id.encode(), digest_size=8).digest())
    if digest in seen:
        raise BadRow(f"id {shown(task_id)} is there twice; an earlier row has it too")
    seen.add(digest)


__all__ = [
    "Reading",
    "Rejected",
    "Row",
    "TaskFileError",
    "open_source",
    "read_rows",
    "read_tasks",
    "task_at",
    "task_of",
]
