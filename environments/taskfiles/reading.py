"""Rows of any of the formats -> tasks. The keys of each row determine its format."""

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
from environments.taskfiles.mind2web import from_mind2web, is_mind2web
from environments.taskfiles.rows import Rejected, Row, Source, TaskFileError, open_file
from environments.taskfiles.webarena_verified import from_webarena_verified, is_webarena_verified
from environments.taskfiles.webgym import from_webgym
from environments.taskfiles.webvoyager import from_webvoyager

LISTED = 3
"""Number of rejected rows in an error."""


class Reading(BaseModel):
    """Defaults for fields that an external row lacks. Example: `Reading(environment="live", split="heldout")`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    environment: str = "live"
    """Name of the environment that serves the tasks."""
    split: Split = "train"
    start_url: str = ""
    """Start address of a dashboard task without one."""
    needs_address: bool = True
    """A task without a start address can't be played; False for an environment that has a start page of its own."""
    max_steps: int = Field(default=30, ge=1, le=1_000)
    sites: tuple[tuple[str, str], ...] = ()
    """Names and addresses of the sites of WebArena-Verified's tasks, such as `(("shopping", "http://10.0.0.7:7770"),)`."""


def open_source(name: str) -> Source:
    """Opens a file of tasks, or a Hugging Face dataset as `hf:NAME#SPLIT`. Raises `TaskFileError`."""
    return Dataset(name) if name.startswith(PREFIX) else open_file(Path(name))


def read_tasks(source: Source, reading: Reading) -> Iterator[Task | Rejected]:
    """Yields every row as a task or as `Rejected`. Raises `TaskFileError` if the source can't be read at all."""
    for _, task in read_rows(source, reading):
        yield task


def read_rows(source: Source, reading: Reading) -> Iterator[tuple[int, Task | Rejected]]:
    """Like `read_tasks`, with the place of each row, for `task_at`."""
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
    """Reads one task of a source that `read_rows` has read. Raises `TaskFileError` if the source has changed."""
    try:
        task = task_of(source.row(place), reading)
    except BadRow as error:
        raise TaskFileError(f"{source.name} was changed while it was in use: {error}") from None
    if task.id != task_id:
        message = f"expected task {task_id} where {task.id} is now; start again"
        raise TaskFileError(f"{source.name} was changed while it was in use: {message}")
    return task


def task_of(value: Any, reading: Reading) -> Task:
    """Converts one row to a task. Raises `BadRow`."""
    if not isinstance(value, Mapping):
        raise BadRow(f"expected an object, found {shown(value)}")
    usual: dict[str, Any] = {
        "environment": reading.environment,
        "split": reading.split,
        "max_steps": reading.max_steps,
    }
    if is_webarena_verified(value):
        return from_webarena_verified(value, **usual, sites=dict(reading.sites))
    if is_mind2web(value):
        return from_mind2web(value, **usual)
    if "ques" in value:
        return from_webvoyager(value, **usual)
    if "task_name" in value or "task_id" in value:
        return from_webgym(value, **usual)
    if "environment" in value:
        return _own(value)
    if "task" in value:
        return from_dashboard(value, **usual, start_url=reading.start_url)
    keys = ", ".join(shown(key) for key in islice(value, 5)) or "none"
    raise BadRow(
        f"expected the keys of WebGym (task_id, task_name, ..), of the dashboard (id, task, ..) or ours, found {keys}"
    )


def refuse_rejected(source: Source, rejected: list[Rejected]) -> None:
    """Raises `TaskFileError` with the first rejected rows, if there are any: a run plays complete files only."""
    if rejected:
        first = "; ".join(str(row) for row in rejected[:LISTED])
        more = f"; and {len(rejected) - LISTED} more" if len(rejected) > LISTED else ""
        raise TaskFileError(
            f"{source.name}: {len(rejected)} rows are no tasks ({first}{more}); "
            f"`rl-loop tasks convert` writes a file without them"
        )


def _own(value: Mapping[str, Any]) -> Task:
    """Validates a row in the format of `Task`, which has all fields."""
    task = make_task(value, {})
    return task.model_copy(update={"start_url": url_of(value, "start_url")})


def _check_new(task_id: str, seen: set[int]) -> None:
    """Raises `BadRow` for a repeated id. Stores a 64-bit hash per id: for a million ids this saves some 70 MB."""
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
