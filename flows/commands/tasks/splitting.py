"""`rl-loop tasks split`: one source -> a file for training and a file for evaluation, with their cards."""

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
    StepsOption,
    Unit,
    UrlOption,
    reading_of,
    rows_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.types import Task
    from environments.taskfiles.reading import Reading


def split(
    source: SourceArgument,
    train: Annotated[Path, typer.Argument(help="file to write: tasks for training")],
    heldout: Annotated[Path, typer.Argument(help="file to write: tasks for evaluation")],
    by: Annotated[Unit, typer.Option(help="the unit that is never divided")] = Unit.TEMPLATE,
    share: Annotated[float, typer.Option(help="share of the tasks for evaluation", min=0.001, max=0.999)] = 0.2,
    seed: Annotated[int, typer.Option(help="another seed gives another split", min=0)] = 0,
    to: Annotated[Format, typer.Option(help="format to write")] = Format.OURS,
    licence: Annotated[str, typer.Option(help="licence of the tasks, for the cards")] = "unknown",
    environment: EnvironmentOption = "live",
    start_url: UrlOption = "",
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
) -> None:
    """Split a source into training and evaluation, disjoint by template, site or task, the same way for each seed.

    Tasks with the same goal at the same address are never on both sides. Example:
    rl-loop tasks split all.jsonl train.jsonl heldout.jsonl --by site --share 0.1
    """
    from environments.taskfiles.splitting import CannotSplit, count_units, heldout_units, with_split
    from environments.taskfiles.writing import write_tasks
    from flows.commands.tasks.cards import write_card
    from storage.errors import LoopError

    if train.resolve() == heldout.resolve():
        raise LoopError(f"expected two different files to write, found {train} twice")
    try:
        with reading_of(InSplit.TRAIN, environment, start_url, max_steps) as reading, Refused(rejected) as refused:
            units = count_units(refused.without(rows_of(source, reading)), by.value)
            chosen = heldout_units(units, share=share, seed=seed)
            for path, name in ((train, InSplit.TRAIN), (heldout, InSplit.HELDOUT)):
                tasks = (with_split(task, chosen, by.value) for task in _valid(source, reading))
                write_tasks(path, (task for task in tasks if task.split == name.value), to.value)
                origin = f"{source}, split by {by.value}, seed {seed}, share {share:g}"
                card = write_card(path, split=name, licence=licence, source=origin, rejected=refused.count)
                typer.echo(f"{card.tasks} tasks in {path}")
    except CannotSplit as error:
        raise LoopError(str(error)) from error


def _valid(source: str, reading: "Reading") -> "Iterator[Task]":
    from agent.types import Task

    return (row for row in rows_of(source, reading) if isinstance(row, Task))
