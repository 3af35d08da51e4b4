"""`rl-loop import webarena-verified|online-mind2web|webvoyager`: tasks of benchmarks, with a dataset card."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.tasks.sources import InSplit, Refused, RejectedOption, SplitOption, StepsOption, rows_of

if TYPE_CHECKING:
    from agent.types import Task

OutArgument = Annotated[Path, typer.Argument(help="file to write; its dataset card is written beside it")]
EVALUATION = InSplit.HELDOUT
"""Benchmarks measure: their tasks are held out, unless the command says otherwise."""


def webvoyager(
    source: Annotated[str, typer.Argument(help="WebVoyager_data.jsonl, or hf:NAME#SPLIT")],
    out: OutArgument,
    answers: Annotated[
        Path | None, typer.Option(help="reference_answer.json of the same data", show_default=False)
    ] = None,
    split: SplitOption = EVALUATION,
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
) -> None:
    """Bring in WebVoyager's tasks. Example: rl-loop import webvoyager WebVoyager_data.jsonl tasks/webvoyager.jsonl"""
    from environments.taskfiles.webvoyager import LICENCE, SOURCE, with_answer

    known = _answers(answers) if answers is not None else {}
    _write(
        source,
        out,
        rejected,
        split=split,
        max_steps=max_steps,
        licence=LICENCE,
        origin=SOURCE,
        change=lambda tasks: (with_answer(task, known) for task in tasks),
    )


def online_mind2web(
    source: Annotated[str, typer.Argument(help="Online_Mind2Web.json, or hf:osunlp/Online-Mind2Web#test")],
    out: OutArgument,
    split: SplitOption = EVALUATION,
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
) -> None:
    """Bring in Online-Mind2Web's tasks. Example: rl-loop import online-mind2web Online_Mind2Web.json tasks/mind2web.jsonl"""
    from environments.taskfiles.mind2web import LICENCE, SOURCE

    _write(source, out, rejected, split=split, max_steps=max_steps, licence=LICENCE, origin=SOURCE)


def webarena_verified(
    out: OutArgument,
    site: Annotated[
        list[str], typer.Option(help="address of one of its sites, such as shopping=http://10.0.0.7:7770; repeat it")
    ],
    file: Annotated[
        Path | None, typer.Option(help="webarena-verified.json; default: that of its package", show_default=False)
    ] = None,
    split: SplitOption = EVALUATION,
    max_steps: StepsOption = 30,
    rejected: RejectedOption = None,
) -> None:
    """Bring in WebArena-Verified's tasks on sites that you run; tasks of other sites are left out.

    The package webarena-verified has the tasks (`pip install --no-deps webarena-verified`), or name its file. Example:
    rl-loop import webarena-verified tasks/webarena.jsonl --site shopping=http://10.0.0.7:7770
    """
    from environments.taskfiles.webarena_verified import LICENCE, SOURCE

    _write(
        str(file or _packaged()),
        out,
        rejected,
        split=split,
        max_steps=max_steps,
        licence=LICENCE,
        origin=SOURCE,
        sites=_sites(site),
    )


def _write(
    source: str,
    out: Path,
    rejected: Path | None,
    *,
    split: InSplit,
    max_steps: int,
    licence: str,
    origin: str,
    sites: dict[str, str] | None = None,
    change: "Callable[[Iterable[Task]], Iterable[Task]] | None" = None,
) -> None:
    """Writes the tasks of a source with their card. Raises `LoopError`."""
    from environments.taskfiles.writing import write_tasks
    from flows.commands.tasks.cards import write_card
    from flows.commands.tasks.sources import reading_of
    from storage.errors import LoopError

    with reading_of(split, "live", "", max_steps) as usual, Refused(rejected) as refused:
        reading = usual.model_copy(update={"sites": tuple((sites or {}).items())})
        tasks: Iterable[Task] = refused.without(rows_of(source, reading))
        count = write_tasks(out, change(tasks) if change else tasks)
        left_out = refused.count
    if not count:
        out.unlink()
        raise LoopError(f"{source} gave no task, {left_out} rows were left out")
    write_card(out, licence=licence, source=origin, rejected=left_out)
    typer.echo(f"{count} tasks in {out}" + (f", {left_out} rows left out" if left_out else ""))


def _sites(given: list[str]) -> dict[str, str]:
    """Addresses by name. Raises `LoopError`."""
    from environments.taskfiles.fields import BadRow, url_of
    from storage.errors import LoopError

    found: dict[str, str] = {}
    for text in given:
        name, equals, address = text.partition("=")
        try:
            url = url_of({"site": address}, "site") if equals else ""
        except BadRow:
            url = ""
        if not name or not url:
            raise LoopError(
                f"--site: expected NAME=ADDRESS, such as shopping=http://10.0.0.7:7770, found {text[:80]!r}"
            )
        found[name.lower()] = url
    return found


def _answers(path: Path) -> dict[str, tuple[str, str]]:
    import json

    from environments.taskfiles.fields import BadRow
    from environments.taskfiles.webvoyager import answers_of
    from storage.errors import LoopError

    try:
        return answers_of(json.loads(path.read_bytes()))
    except (BadRow, ValueError, RecursionError) as error:
        raise LoopError(f"{path}: not WebVoyager's reference answers: {' '.join(str(error).split())[:200]}") from error


def _packaged() -> Path:
    """The file of tasks in the package `webarena-verified`. Raises `LoopError` without it."""
    from importlib.util import find_spec

    from storage.errors import LoopError

    spec = find_spec("webarena_verified")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        for path in sorted(folder.rglob("webarena-verified.json")):
            return path
    raise LoopError(
        "the package webarena-verified is not installed; pip install --no-deps webarena-verified, or name its file with --file"
    )
