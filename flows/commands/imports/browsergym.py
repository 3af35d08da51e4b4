"""`rl-loop import browsergym`: task ids of BrowserGym as tasks of ours, where an environment here has them."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.tasks.sources import InSplit

SHOWN = 20
"""Ids without an equal that are printed; the rest are counted."""


def browsergym(
    out: Annotated[Path, typer.Argument(help="file to write; its dataset card is written beside it")],
    ids: Annotated[
        list[str], typer.Argument(help="ids such as browsergym/miniwob.click-dialog, or a file with one a line")
    ],
    split: Annotated[
        InSplit, typer.Option(help="split of the tasks; MiniWoB++ has other seeds in each")
    ] = InSplit.HELDOUT,
    seeds: Annotated[int, typer.Option(help="seeds of each task that is made from one", min=1, max=10_000)] = 5,
) -> None:
    """Bring in tasks of BrowserGym by their ids: MiniWoB++'s are played here; of WebArena's, import webarena-verified.

    Example: rl-loop import browsergym tasks/miniwob.jsonl browsergym/miniwob.click-dialog browsergym/miniwob.login-user
    """
    from environments.miniwob.browsergym import NoSuchTask, tasks_of
    from environments.taskfiles.writing import write_tasks
    from flows.commands.tasks.cards import write_card
    from storage.errors import LoopError

    tasks, refused = [], list[str]()
    for name in _named(ids):
        try:
            tasks += tasks_of(name, split=split.value, count=seeds)
        except NoSuchTask as error:
            refused.append(str(error))
    for reason in refused[:SHOWN]:
        typer.echo(reason, err=True)
    if len(refused) > SHOWN:
        typer.echo(f".. and {len(refused) - SHOWN} more", err=True)
    if not tasks:
        raise LoopError(f"none of the {len(refused)} ids has a task here")
    count = write_tasks(out, tasks)
    write_card(out, licence="mit", source="BrowserGym's ids of MiniWoB++", rejected=len(refused))
    typer.echo(f"{count} tasks in {out}" + (f", {len(refused)} ids left out" if refused else ""))


def _named(ids: list[str]) -> list[str]:
    """The ids; an argument that is a file gives those in it."""
    names: list[str] = []
    for given in ids:
        path = Path(given)
        if path.is_file():
            names += [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        else:
            names.append(given)
    return [name for name in dict.fromkeys(names) if name and not name.startswith("#")]
