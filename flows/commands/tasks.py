"""`rl-loop tasks check` and `rl-loop tasks convert`: check and convert task files before they are played.

A source is WebGym's JSONL, the dashboard's tasks.json, our own JSONL, or a Hugging Face dataset as hf:NAME#SPLIT.
"""

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
tasks_app = typer.Typer(no_args_is_help=True, help="Look at files of tasks and convert them.")


class Format(StrEnum):
    """The formats that `convert` writes."""

    OURS = "ours"
    WEBGYM = "webgym"
    DASHBOARD = "dashboard"


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


@tasks_app.command()
def check(
    source: SourceArgument,
    split: SplitOption = InSplit.TRAIN,
    environment: EnvironmentOption = "live",
    start_url: UrlOption = "",
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
) -> None:
    """Count the tasks of a source by site, difficulty and verifier; list invalid rows and expectations with reasons.

    Exit status 1 if there are such rows or expectations.
    """
    from judging.verifiers.task_counts import VerifierCounts
    from storage.errors import LoopError

    with _reading(split, environment, start_url, max_steps) as reading, _Refused(rejected) as refused:
        summary, verifiers = _Summary(), VerifierCounts()
        for task in refused.without(_rows(source, reading), summary):
            verifiers.add(task)
    typer.echo(summary.text())
    typer.echo(verifiers.text())
    for reason in verifiers.reasons:
        typer.echo(reason, err=True)
    if refused.count:
        raise LoopError(f"{refused.count} rows of {source} are no tasks")
    if verifiers.invalid:
        raise LoopError(
            f"{verifiers.invalid} tasks of {source} have an invalid expectation, so no verifier judges them"
        )


@tasks_app.command()
def convert(
    source: SourceArgument,
    out: Annotated[Path, typer.Argument(help="file to write")],
    to: Annotated[Format, typer.Option(help="format to write")] = Format.OURS,
    split: SplitOption = InSplit.TRAIN,
    environment: EnvironmentOption = "live",
    start_url: UrlOption = "",
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
) -> None:
    """Write a source's tasks to a file in one of the formats; invalid rows are listed and left out."""
    from environments.taskfiles.writing import write_tasks

    with _reading(split, environment, start_url, max_steps) as reading, _Refused(rejected) as refused:
        count = write_tasks(out, refused.without(_rows(source, reading), _Summary()), to.value)
    typer.echo(f"{count} tasks in {out}" + (f", {refused.count} rows left out" if refused.count else ""))


@tasks_app.command()
def generate(
    environment: Annotated[str, typer.Argument(help="miniwob, shop, or a folder with an environment of your own")],
    out: Annotated[Path, typer.Argument(help="file to write")],
    per_family: Annotated[int, typer.Option(help="tasks of each family", min=1, max=10_000)] = 5,
) -> None:
    """Write tasks of an environment's families, with their split, as JSONL. Example: rl-loop tasks generate shop shop.jsonl"""
    from environments.taskfiles.writing import write_tasks
    from flows.commands.environments import made
    from flows.environment_tools.check import tasks_of

    tasks = tasks_of(made(environment), per_family)
    count = write_tasks(out, tasks, Format.OURS.value)
    by_split = ", ".join(f"{split} {sum(task.split == split for task in tasks)}" for split in ("train", "heldout"))
    typer.echo(f"{count} tasks in {out}: {by_split}")


@contextmanager
def _reading(split: InSplit, environment: str, start_url: str, max_steps: int) -> "Generator[Reading]":
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


def _rows(source: str, reading: "Reading") -> "Iterator[Task | Rejected]":
    from environments.taskfiles.reading import open_source, read_tasks

    return read_tasks(open_source(source), reading)


class _Summary:
    """Counts tasks by site and by difficulty."""

    def __init__(self) -> None:
        self.tasks = 0
        self.sites: set[str] = set()
        self.difficulties: dict[int, int] = {}

    def add(self, task: "Task") -> None:
        from environments.taskfiles.table import host_of

        self.tasks += 1
        self.sites.add(host_of(task.start_url))
        self.difficulties[task.difficulty] = self.difficulties.get(task.difficulty, 0) + 1

    def text(self) -> str:
        by_difficulty = ", ".join(f"{difficulty}: {count}" for difficulty, count in sorted(self.difficulties.items()))
        return f"{self.tasks} tasks on {len(self.sites)} sites; by difficulty {by_difficulty or 'none'}"


class _Refused:
    """Lists the rejected rows: the first ones on the screen, all of them in a file if one is given."""

    def __init__(self, path: Path | None) -> None:
        self.count = 0
        self._file = path.open("w", encoding="utf-8") if path else None

    def __enter__(self) -> "_Refused":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file:
            self._file.close()

    def without(self, rows: "Iterator[Task | Rejected]", summary: _Summary) -> "Iterator[Task]":
        """Yields the valid tasks; reports the other rows."""
        from agent.types import Task

        for row in rows:
            if isinstance(row, Task):
                summary.add(row)
                yield row
                continue
            self.count += 1
            if self.count <= SHOWN:
                typer.echo(str(row), err=True)
            elif self.count == SHOWN + 1 and not self._file:
                typer.echo("..; --rejected FILE writes all of them", err=True)
            if self._file:
                self._file.write(f"{row.number}\t{row.reason}\n")
