"""`rl-loop tasks check`, `convert` and `generate`: check, convert and make task files before they are played."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.tasks.sources import (
    EnvironmentOption,
    Format,
    InSplit,
    Refused,
    RejectedOption,
    SourceArgument,
    SplitOption,
    StepsOption,
    UrlOption,
    reading_of,
    rows_of,
)

if TYPE_CHECKING:
    from agent.types import Task


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

    with reading_of(split, environment, start_url, max_steps) as reading, Refused(rejected) as refused:
        summary, verifiers = _Summary(), VerifierCounts()
        for task in refused.without(rows_of(source, reading)):
            summary.add(task)
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

    with reading_of(split, environment, start_url, max_steps) as reading, Refused(rejected) as refused:
        count = write_tasks(out, refused.without(rows_of(source, reading)), to.value)
    typer.echo(f"{count} tasks in {out}" + (f", {refused.count} rows left out" if refused.count else ""))


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
