"""`rl-loop tasks card`: writes the dataset card of a file of tasks, or checks a file against its card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.tasks.sources import InSplit, reading_of, rows_of

if TYPE_CHECKING:
    from environments.taskfiles.card import Card


def card(
    file: Annotated[Path, typer.Argument(help="file of tasks")],
    licence: Annotated[
        str | None, typer.Option(help="write the card, with this licence (an SPDX id)", show_default=False)
    ] = None,
    source: Annotated[str, typer.Option(help="where the tasks come from", show_default=False)] = "",
) -> None:
    """Check a file of tasks against its dataset card; with --licence, write the card: count, digest, licence, origin.

    The card of tasks.jsonl is tasks.jsonl.card.md. Exit status 1 if the file is not the one of its card.
    Example: rl-loop tasks card tasks.jsonl --licence cc-by-4.0 --source "written by hand"
    """
    from environments.taskfiles.card import card_path, difference, read_card
    from environments.taskfiles.rows import TaskFileError
    from storage.errors import LoopError

    if licence is not None:
        written = write_card(file, licence=licence, source=source)
        typer.echo(f"{card_path(file)}: {written.tasks} tasks, licence {written.license}, SHA-256 {written.sha256}")
        return
    try:
        found = read_card(card_path(file))
        problem = difference(file, found)
    except TaskFileError as error:
        raise LoopError(f"{error}; --licence writes a card") from error
    if problem:
        raise LoopError(f"{problem}; --licence writes a new card")
    typer.echo(f"{file} is the file of its card: {found.tasks} tasks, licence {found.license}")


def write_card(
    file: Path, *, licence: str, source: str = "", rejected: int = 0, split: InSplit = InSplit.TRAIN
) -> "Card":
    """Writes the card of a file of tasks beside it. Raises `LoopError` for a file or a text that can't be used."""
    from agent.types import Task
    from environments.taskfiles.card import card_of, card_path, card_text
    from environments.taskfiles.counting import TaskCounts
    from storage.atomic import write_atomically
    from storage.errors import LoopError

    with reading_of(split, "live", "", 30) as reading:
        counts = TaskCounts().add_all(task for task in rows_of(str(file), reading) if isinstance(task, Task))
    try:
        made = card_of(file, counts, licence=licence, source=source, rejected=rejected)
    except ValueError as error:
        raise LoopError(f"licence and source are single lines of at most 500 characters: {licence!r:.60}") from error
    write_atomically(card_path(file), card_text(made).encode())
    return made
