"""`rl-loop tasks stats`: tasks by difficulty, domain, template and site, with a run's success on them."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import ConfigOption
from flows.commands.tasks.sources import (
    EnvironmentOption,
    InSplit,
    Refused,
    RejectedOption,
    SplitOption,
    StepsOption,
    UrlOption,
    reading_of,
    rows_of,
)

if TYPE_CHECKING:
    from environments.taskfiles.counting import Count, TaskCounts

LONGEST = 48
"""Characters of a value that are printed."""


def stats(
    source: Annotated[
        str | None, typer.Argument(help="file of tasks, or hf:NAME#SPLIT; default: the run's tasks", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="name or folder of a run: its success on the tasks", show_default=False)
    ] = None,
    most: Annotated[int, typer.Option(help="domains, templates and sites that are printed", min=1, max=10_000)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="print all counts as one JSON object")] = False,
    split: SplitOption = InSplit.TRAIN,
    environment: EnvironmentOption = "live",
    start_url: UrlOption = "",
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
    config: ConfigOption = None,
) -> None:
    """Count tasks by split, difficulty, domain, template and site; with --run, with the success that was measured.

    Examples: rl-loop tasks stats tasks.jsonl; rl-loop tasks stats --run demo; rl-loop tasks stats tasks.jsonl --run demo
    """
    from environments.taskfiles.counting import TaskCounts
    from flows.comparing.measured import measured_tasks
    from flows.starting.starting import find_run
    from storage.errors import LoopError

    if source is None and run is None:
        raise LoopError("expected a file of tasks, or --run NAME; found neither")
    played = measured_tasks(find_run(run, config)) if run is not None else {}
    counts = TaskCounts({task_id: one.measured for task_id, one in played.items()})
    if source is None:
        counts.add_all(one.task for one in played.values())
    else:
        with reading_of(split, environment, start_url, max_steps) as reading, Refused(rejected) as refused:
            counts.add_all(refused.without(rows_of(source, reading)))
    if as_json:
        typer.echo(json.dumps(_object(counts), ensure_ascii=True))
        return
    typer.echo("\n".join(lines(counts, most=most, with_success=run is not None)))


def lines(counts: "TaskCounts", *, most: int, with_success: bool) -> list[str]:
    """The tables of a count, one for each property that tells the tasks apart."""
    canaries = f", {counts.canaries} of them canaries" if counts.canaries else ""
    out = [f"{counts.tasks} tasks{canaries}"]
    for facet, found in counts.by.items():
        if set(found) <= {""}:
            continue
        out += ["", f"{facet} ({len(found)})"]
        shown = counts.largest(facet, most)
        out += [_row(value, count, with_success=with_success) for value, count in shown]
        if len(found) > len(shown):
            out.append(f"  .. and {len(found) - len(shown)} more; --most prints more of them")
    return out


def _row(value: str, count: "Count", *, with_success: bool) -> str:
    """One line: hostile text in a file of tasks must not reach the terminal as it is."""
    name = "".join(letter if letter.isprintable() else "?" for letter in value) or "(none)"
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 2]}.."
    row = f"  {name:<{LONGEST}} {count.tasks:>8}"
    if not with_success:
        return row
    rate = "     -" if count.success is None else f"{count.success:6.1%}"
    return f"{row} {rate} of {count.judged} judged episodes, {count.played} tasks played"


def _object(counts: "TaskCounts") -> dict[str, object]:
    tables: Iterable[tuple[str, dict[str, Count]]] = counts.by.items()
    return {"tasks": counts.tasks, "canaries": counts.canaries} | {
        facet: {value: count._asdict() | {"success": count.success} for value, count in found.items()}
        for facet, found in tables
    }
