"""Arguments of the commands about task files, and the reading of a source with its rejected rows."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.types import Task
    from environments.taskfiles.reading import Reading
    from environments.taskfiles.rows import Rejected

SHOWN = 20
"""Rejected rows that are printed; --rejected writes all of them."""


class Format(StrEnum):
    """The formats that task files are written in."""

    OURS = "ours"
    WEBGYM = "webgym"
    DASHBOARD = "dashboard"


class Unit(StrEnum):
    """The units of a split (`environments.taskfiles.splitting.By`)."""

    TASK = "task"
    TEMPLATE = "template"
    SITE = "site"


class InSplit(StrEnum):
    """Split of the tasks that name none."""

    TRAIN = "train"
    HELDOUT = "heldout"


SourceArgument = Annotated[str, typer.Argument(help="file of tasks, or hf:NAME#SPLIT")]
SplitOption = Annotated[InSplit, typer.Option(help="split of tasks that do not say so")]
StepsOption = Annotated[int, typer.Option(help="step budget of tasks that do not say so", min=1, max=1_000)]
EnvironmentOption = Annotated[str, typer.Option(help="environment of tasks that do not say so")]
UrlOption = Annotated[str, typer.Option(help="start address of tasks that do not say so", show_default=False)]
RejectedOption = Annotated[
    Path | None, typer.Option(help="write every rejected row here: line number, tab, reason", show_default=False)
]


@contextmanager
def reading_of(split: InSplit, environment: str, start_url: str, max_steps: int) -> "Generator[Reading]":
    """Defaults for rows that lack values; an unreadable or unwritable file becomes a one-sentence error."""
    from environments.taskfiles.reading import Reading
    from environments.taskfiles.rows import TaskFileError
    from storage.errors import LoopError

    try:
        yield Reading(environment=environment, split=split.value, start_url=start_url, max_steps=max_steps)
    except TaskFileError as error:
        raise LoopError(str(error)) from error
    except OSError as error:
        raise LoopError(f"{error.filename}: {error.strerror}") from error


def rows_of(source: str, reading: "Reading") -> "Iterator[Task | Rejected]":
    from environments.taskfiles.reading import open_source, read_tasks

    return read_tasks(open_source(source), reading)


class Refused:
    """Lists the rejected rows: the first ones on the screen, all of them in a file if one is given."""

    def __init__(self, path: Path | None) -> None:
        self.count = 0
        self._file = path.open("w", encoding="utf-8") if path else None

    def __enter__(self) -> "Refused":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file:
            self._file.close()

    def without(self, rows: "Iterator[Task | Rejected]") -> "Iterator[Task]":
        """Yields the valid tasks; reports the other rows."""
        from agent.types import Task

        for row in rows:
            if isinstance(row, Task):
                yield row
                continue
            self.count += 1
            if self.count <= SHOWN:
                typer.echo(str(row), err=True)
            elif self.count == SHOWN + 1 and not self._file:
                typer.echo("..; --rejected FILE writes all of them", err=True)
            if self._file:
                self._file.write(f"{row.number}\t{row.reason}\n")
