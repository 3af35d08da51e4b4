"""`rl-loop judge-report`: how well judges agree with a verifier, with people, or with a labelled set."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import Overrides

if TYPE_CHECKING:
    from judging.config import JudgeConfig
    from judging.meta.report import JudgeReport

SHOWN = 10
"""Largest number of disagreements of a kind, and of problems of a labelled set, that are printed."""


class Form(StrEnum):
    """The formats of labelled sets."""

    AGENTREWARDBENCH = "agentrewardbench"
    CUAVERIFIERBENCH = "cuaverifierbench"


def judge_report(
    source: Annotated[str, typer.Argument(help="name or folder of a run; with --format, folder of a labelled set")],
    overrides: Overrides = None,
    name: Annotated[
        str | None, typer.Option("--set", help="set of verdicts; default: the run's own", show_default=False)
    ] = None,
    judge: Annotated[str | None, typer.Option(help="judge of the chain to measure", show_default=False)] = None,
    against: Annotated[
        str | None,
        typer.Option(help="judge of the same verdicts that is the reference; default: verifier", show_default=False),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help='JSON lines {"trajectory_id": .., "reward": .., "judge": person} as the reference', show_default=False
        ),
    ] = None,
    iteration: Annotated[
        int | None, typer.Option(help="one iteration; default: all", min=0, show_default=False)
    ] = None,
    form: Annotated[Form | None, typer.Option("--format", help="format of a labelled set", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder for a labelled set's verdicts; default: judge-reports/NAME", show_default=False),
    ] = None,
    dashboard: Annotated[
        str, typer.Option(help="address of a dashboard, for links to the steps", show_default=False)
    ] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="write the reports here", show_default=False)] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="log the reports to the run's MLflow run, too")] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="YAML file of a loop: its runs_dir, its judge section", show_default=False),
    ] = None,
) -> None:
    """Measure judges: confusion, error rates with 95 % intervals, Cohen's kappa, cost, and where they were wrong.

    Examples: rl-loop judge-report demo --reference me.jsonl --json report.json

    rl-loop judge-report arb/ --format agentrewardbench --set m 'judge.chain=[rubric]' 'judge.model={model: m, base_url: "http://127.0.0.1:8000"}'
    """
    from judging.meta.report import text_of

    if form is not None:
        reports = [_of_labelled(Path(source), form, out, name or "first", overrides or [], config)]
    else:
        reports = _of_run(source, overrides, (name, judge, against, reference), iteration, dashboard, config)
    print("\n\n".join(text_of(report, shown=SHOWN) for report in reports))
    if json_file is not None:
        _write(reports, json_file)
    if mlflow:
        _log(reports, source, config)


def _of_run(
    source: str,
    overrides: list[str] | None,
    asked: tuple[str | None, str | None, str | None, Path | None],
    iteration: int | None,
    dashboard: str,
    config: Path | None,
) -> "list[JudgeReport]":
    from flows.settings.hints import on_run
    from flows.stages.judge_reports import Question, reports_of
    from flows.starting.starting import find_run
    from storage.errors import LoopError

    folder = find_run(source, config)
    if overrides:
        raise LoopError(
            f"a run's report takes no settings, found {overrides[0]}; {on_run('rejudge', folder.root, *overrides)} judges by other ones"
        )
    return reports_of(folder, Question(*asked), iteration=iteration, dashboard=dashboard)


def _of_labelled(
    folder: Path, form: Form, out: Path | None, name: str, overrides: list[str], config: Path | None
) -> "JudgeReport":
    """Converts what is not converted yet, judges what is not judged yet, and compares with the labels."""
    from flows.stages.judge_reports import compared, places_of
    from flows.stages.labelled import convert, judge_labelled, judged_before
    from storage.errors import LoopError

    if not folder.is_dir():
        raise LoopError(f"there is no folder {folder}; expected one in the format {form.value}")
    place = out or Path("judge-reports") / folder.resolve().name
    judge = _judge_of(overrides, config)
    found = convert(folder, form.value, place)
    for problem in found.problems[:SHOWN]:
        print(f"left out: {problem}")
    if len(found.problems) > SHOWN:
        print(f"left out: {len(found.problems) - SHOWN} more")
    judged = judged_before(place, name) if judge is None else asyncio.run(judge_labelled(place, judge, name, print))
    stores = {label.trajectory_id: found.store for label in found.labels}
    return compared(found.labels, judged, f"set {name}", f"labels of {folder}", places_of(stores, lambda *_: ""))


def _judge_of(overrides: list[str], config: Path | None) -> "JudgeConfig | None":
    """The judges of the settings; None without any: then verdicts of before are compared."""
    from flows.settings.loop_config import load_config, parse_judge

    if config is not None:
        return load_config(config, overrides).judge
    return parse_judge(overrides) if overrides else None


def _write(reports: "list[JudgeReport]", path: Path) -> None:
    import json

    from storage.atomic import write_atomically

    data = {"reports": [report.model_dump(mode="json") for report in reports]}
    write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False).encode())


def _log(reports: "list[JudgeReport]", run: str, config: Path | None) -> None:
    from flows.starting.starting import find_run
    from flows.tracking.judge_reports import log_reports

    print(f"logged to MLflow: {log_reports(find_run(run, config), reports)}")
