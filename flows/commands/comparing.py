"""`rl-loop compare`: two or more runs side by side in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import ConfigOption

if TYPE_CHECKING:
    from rich.table import Table

    from flows.comparing.comparison import Comparison
    from flows.settings.run_folder import RunFolder

SHOWN = 10
"""Flipped tasks and differing settings of one comparison that are printed; the rest are counted."""


def compare(
    runs: Annotated[list[str], typer.Argument(help="names or folders of two or more runs; the first is the baseline")],
    at: Annotated[
        int | None,
        typer.Option(min=0, help="iteration to compare; default: each run's last evaluation", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="also draw the learning curves into this PNG file", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Compare runs: held-out success paired by task with its significance, flipped tasks, settings, curves.

    Example: rl-loop compare demo demo-2 --picture curves.png
    """
    from flows.comparing.comparison import compare as compared
    from flows.comparing.curves import draw_curves
    from flows.monitor.console import console
    from flows.starting.starting import find_run
    from storage.errors import LoopError

    folders = [find_run(run, config) for run in runs]
    if len(folders) < 2:
        raise LoopError(f"expected two or more runs to compare, found {len(folders)}; name another one")
    out = console()
    out.print(curves_table(folders))
    for other in folders[1:]:
        out.print("\n" + "\n".join(lines(compared(folders[0], other, at))), markup=False, highlight=False)
    if picture is not None:
        out.print(f"curves: {draw_curves(folders, picture)}", soft_wrap=True, markup=False, highlight=False)


def curves_table(folders: "list[RunFolder]") -> "Table":
    """Success and seconds by iteration, three columns per run."""
    from rich.markup import escape
    from rich.table import Table

    from flows.tracking.summary import rows

    tables = [{row.iteration: row for row in rows(folder)} for folder in folders]
    table = Table(box=None, pad_edge=False)
    table.add_column("iteration", justify="right")
    for folder in folders:
        for column in ("train", "held out", "seconds"):
            table.add_column(f"{escape(folder.name)}\n{column}", justify="right")
    for iteration in sorted({iteration for each in tables for iteration in each}):
        cells: list[str] = []
        for each in tables:
            row = each.get(iteration)
            cells += [
                _percent(row.train_success) if row else "",
                _percent(row.heldout_success) if row else "",
                f"{sum(row.seconds.values()):.0f}" if row else "",
            ]
        table.add_row(str(iteration), *cells)
    return table


def lines(found: "Comparison") -> list[str]:
    """The comparison of two runs as lines of text."""
    first, second = found.first.name, found.second.name
    if found.means is None:
        return [f"{first} and {second} have no held-out task in common, so their success can't be paired"]
    text = [
        f"{first} (iteration {found.iterations[0]}) {found.means[0]:.1%}, "
        f"{second} (iteration {found.iterations[1]}) {found.means[1]:.1%} of their common held-out tasks"
    ]
    if (paired := found.difference) is not None:
        text.append(
            f"difference {paired.difference:+.1%} (95 % interval {paired.low:+.1%} to {paired.high:+.1%}), "
            f"p = {paired.p_value:.2g}, paired over {paired.tasks} tasks"
        )
    if any(found.alone):
        text.append(f"not compared: {found.alone[0]} tasks of {first} alone, {found.alone[1]} of {second} alone")
    better = sum(flip.second > flip.first for flip in found.flips)
    text.append(f"tasks that differ: {better} better, {len(found.flips) - better} worse")
    text += [
        f"  {flip.first:4.0%} -> {flip.second:4.0%}  {flip.task}: {flip.goal[:80]!r}" for flip in found.flips[:SHOWN]
    ]
    text += [f"  and {len(found.flips) - SHOWN} more"] if len(found.flips) > SHOWN else []
    text.append("settings that differ:" if found.settings else "the settings are equal")
    settings = list(found.settings.items())
    text += [f"  {key}: {mine!r} -> {other!r}" for key, (mine, other) in settings[:SHOWN]]
    text += [f"  and {len(settings) - SHOWN} more"] if len(settings) > SHOWN else []
    return text


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
