"""`rl-loop tasks decompose`: a source -> a file with its tasks and, after each, the easier tasks that it is made of."""

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
    from collections.abc import Iterable, Iterator

    from agent.types import Task


def decompose(
    source: SourceArgument,
    out: Annotated[Path, typer.Argument(help="file to write: the tasks, each followed by its parts")],
    least_facts: Annotated[
        int, typer.Option(help="facts of the largest group of a task that is decomposed", min=1)
    ] = 3,
    to: Annotated[Format, typer.Option(help="format to write")] = Format.OURS,
    split: SplitOption = InSplit.TRAIN,
    environment: EnvironmentOption = "live",
    start_url: UrlOption = "",
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
) -> None:
    """Decompose tasks by the groups of facts in their rubrics: a group becomes an easier task (WebGym's rule).

    Split first: a part has the split of its task. Example: rl-loop tasks decompose webgym.jsonl tasks.jsonl
    """
    from environments.taskfiles.decomposing import PART_OF, parts_of
    from environments.taskfiles.writing import write_tasks

    parts = 0

    def with_parts(tasks: "Iterable[Task]") -> "Iterator[Task]":
        nonlocal parts
        for task in tasks:
            yield task
            found = parts_of(task, least_facts=least_facts)
            parts += len(found)
            yield from found

    with reading_of(split, environment, start_url, max_steps) as reading, Refused(rejected) as refused:
        count = write_tasks(out, with_parts(refused.without(rows_of(source, reading))), to.value)
    typer.echo(f"{count} tasks in {out}, {parts} of them parts of others (label {PART_OF})")
