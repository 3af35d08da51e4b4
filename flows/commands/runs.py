"""Commands about runs: start, resume and watch them, measure a policy, export and compact trajectories."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import ConfigArgument, ConfigOption, Overrides, PrefectOption, RunArgument, loaded

if TYPE_CHECKING:
    from flows.commands.operations import Started
    from flows.settings.loop_config import LoopConfig


class ExportFormat(StrEnum):
    """Formats of `rl-loop export`."""

    PARQUET = "parquet"
    WEBGYM = "webgym"
    WEBARENA = "webarena-verified"
    HTML = "html"


def run(
    config: ConfigArgument = None,
    overrides: Overrides = None,
    name: Annotated[
        str | None, typer.Option(help="name of the run; default: the configuration's, numbered", show_default=False)
    ] = None,
    prefect: PrefectOption = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check everything and print the size of the run; start nothing")
    ] = False,
) -> None:
    """Start a loop and watch it to its end. Services that are not running are started, and stay up."""
    from flows.commands import operations, screens
    from flows.settings.checkout import config_or_default
    from flows.stages.loop import run_alone
    from flows.starting import starting

    loop = loaded(config, overrides)
    operations.name_for(loop, name)
    if dry_run:
        _print_forecast(loop)
        return
    with screens.services_screen() as watch:
        operations.bring_up(loop, watch)
    if prefect:
        _watch(operations.start_run(config_or_default(config), overrides or [], loop, name), loop)
    else:
        folder = starting.new_folder(loop, name)
        asyncio.run(run_alone(folder))
        screens.print_summary(folder, operations.links(folder, None))


def demo(
    overrides: Overrides = None,
    config: ConfigOption = None,
    keep: Annotated[bool, typer.Option(help="leave the services running at the end")] = False,
) -> None:
    """Run everything once: start the services, deploy, train through Prefect, show the results, stop the services."""
    from flows.commands import operations, screens
    from flows.services import services
    from flows.settings.checkout import config_or_default
    from flows.settings.hints import on_services

    loop = loaded(config, overrides)
    state = loop.services.state_dir
    keep = keep or services.is_running(state)
    try:
        with screens.services_screen() as watch:
            status = operations.bring_up(loop, watch)
        screens.print_services(status)
        _watch(operations.start_run(config_or_default(config), overrides or [], loop, None), loop)
    finally:
        if keep:
            print(f"the services stay up; {on_services('down', state)} stops them")
        else:
            services.shut_down(state)


def resume(
    run: RunArgument, overrides: Overrides = None, config: ConfigOption = None, prefect: PrefectOption = True
) -> None:
    """Continue a run where it stopped: restart services, clear dead flow runs, skip every finished stage.

    iterations=N makes it longer; services.* and limits may change too, but no setting that decides results.
    """
    from flows.commands import operations, screens
    from flows.settings.run_folder import RunFolder
    from flows.stages.loop import run_alone
    from flows.starting import starting
    from flows.tracking import tracking

    folder = starting.find_run(run, config)
    asked = RunFolder(folder.root, starting.asked_of(folder, overrides or []))
    if asked.next_stage() is None:
        print(starting.nothing_to_do(folder))
        tracking.sync(folder)
        screens.print_summary(folder, operations.links(folder, None))
        return
    with folder.lock():  # fail before any service is started if another process writes the folder or this user may not
        pass
    with screens.services_screen() as watch:
        operations.bring_up(asked.config, watch)
    if prefect:
        _watch(operations.resume_run(asked, overrides or []), asked.config)
    else:
        folder = folder.changed_to(asked.config)
        asyncio.run(run_alone(folder))
        screens.print_summary(folder, operations.links(folder, None))


def cancel(run: RunArgument, config: ConfigOption = None) -> None:
    """Stop a run within ten seconds: its episodes, its update, its browsers. `rl-loop resume` goes on with it.

    Example: rl-loop cancel demo
    """
    from flows.commands import operations
    from flows.services import services
    from flows.settings.hints import on_run
    from flows.starting.cancelling import cancel_run
    from flows.starting.starting import find_run

    folder = find_run(run, config)
    if services.is_running(folder.config.services.state_dir):
        with operations.prefect_server(folder.config) as server:
            print(cancel_run(folder, server))
    else:
        print(cancel_run(folder, None))
    print(f"{on_run('resume', folder.root)} goes on with it")


def evaluate(run: RunArgument, config: ConfigOption = None) -> None:
    """Measure the newest policy of a run on the held-out tasks."""
    from flows.commands import operations, screens
    from flows.starting.starting import find_run

    folder = find_run(run, config)
    with folder.lock():  # as in `resume`
        pass
    with screens.services_screen() as watch:
        operations.bring_up(folder.config, watch)
    report = operations.evaluate_now(folder)
    print(screens.stage_line(report))


def export(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            help="file to write, or folder; default: RUN.parquet, RUN-FORMAT, TRAJECTORY.html", show_default=False
        ),
    ] = None,
    pictures: Annotated[bool, typer.Option(help="export the screenshots too; html always has them")] = False,
    form: Annotated[
        ExportFormat,
        typer.Option(
            "--format", help="rows of steps, WebGym's fields, input of an evaluator, or one trajectory as html"
        ),
    ] = (ExportFormat.PARQUET),
    trajectory: Annotated[str | None, typer.Option(help="id of the trajectory, for html", show_default=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Write the trajectories of a run's finished stages: to one Parquet file, a row per step, or in WebGym's fields.

    `--format webgym` writes JSON lines and Parquet by split, iteration and rank; `--format webarena-verified` writes the
    evaluations for that benchmark's own evaluator; `--format html --trajectory ID` writes one trajectory with its
    pictures to a file that can be sent around. Example: rl-loop export demo --format webgym
    """
    from flows.commands.export import export_run, export_trajectory
    from flows.ecosystem.webarena_evaluation import export_webarena
    from flows.starting.starting import find_run
    from flows.webgym.exporting import export_webgym
    from storage.errors import LoopError

    if (form is ExportFormat.HTML) != (trajectory is not None):
        raise LoopError("--format html and --trajectory ID belong together; the dashboard and the monitor show the ids")
    folder = find_run(run, config)
    path = out or Path(_default_file(folder.name, form, trajectory))
    try:
        if trajectory is not None:
            export_trajectory(folder, trajectory, path)
            print(f"{trajectory} in {path}, {path.stat().st_size / 1e6:.1f} MB")
            return
        if form is ExportFormat.WEBGYM:
            files = export_webgym(folder, path, pictures=pictures)
            count = sum(file.trajectories for file in files if file.path.suffix == ".jsonl")
            print(f"{count} trajectories in {len(files)} files below {path}")
            return
        if form is ExportFormat.WEBARENA:
            done = export_webarena(folder, path)
            print(f"{done.written} episodes below {path}, {done.without_log} of them without a record of requests")
            print(f"left out: {done.broken} broken, {done.beyond} judged by more than requests have")
            return
        rows = export_run(folder, path, pictures=pictures)
    except OSError as error:
        raise LoopError(f"{path} cannot be written: {error.strerror or error}") from error
    print(f"{rows} rows in {path}, {path.stat().st_size / 1e6:.1f} MB")


def _default_file(run: str, form: ExportFormat, trajectory: str | None) -> str:
    match form:
        case ExportFormat.HTML:
            return f"{trajectory}.html"
        case ExportFormat.PARQUET:
            return f"{run}.parquet"
    return f"{run}-{form.value}"


def compact(run: RunArgument, config: ConfigOption = None) -> None:
    """Pack the trajectories of a run's finished stages into one file per stage, and delete unneeded files."""
    from flows.commands.upkeep import compact_run
    from flows.starting.starting import find_run

    folder = find_run(run, config)
    for directory, done in compact_run(folder):
        files, sizes = f"{done.files_before} files -> {done.files_after}", (done.bytes_before, done.bytes_after)
        megabytes = " -> ".join(f"{size / 1e6:.1f}" for size in sizes)
        print(f"{directory.relative_to(folder.root)}: {done.trajectories} trajectories, {files}, {megabytes} MB")


def prune(
    run: RunArgument,
    config: ConfigOption = None,
    pictures_days: Annotated[
        float | None,
        typer.Option(min=0.0, help="remove pictures older than this; default: storage.keep", show_default=False),
    ] = None,
    recordings_days: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="remove films, traces and logs older than this; default: storage.keep", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show what would be freed")] = False,
) -> None:
    """Remove old pictures and recordings of a run's finished stages; trajectories and verdicts stay."""
    from flows.commands.upkeep import prune_run
    from flows.starting.starting import find_run
    from storage.errors import LoopError
    from storage.upkeep.retention import KeepConfig

    folder = find_run(run, config)
    days = {"pictures_days": pictures_days, "recordings_days": recordings_days}
    given = {name: value for name, value in days.items() if value is not None}
    keep = folder.config.storage.keep.model_copy(update=given)
    if keep == KeepConfig():
        raise LoopError("storage.keep keeps everything for ever; give --pictures-days or --recordings-days")
    stages = prune_run(folder, keep, dry_run=dry_run)
    for directory, freed in stages:
        print(
            f"{directory.relative_to(folder.root)}: {freed.pictures} pictures, {freed.recordings} recordings, "
            f"{freed.size / 1e6:.1f} MB"
        )
    print(f"{'would free' if dry_run else 'freed'} {sum(freed.size for _, freed in stages) / 1e6:.1f} MB")


def _print_forecast(loop: "LoopConfig") -> None:
    """Print the checks of this machine and the size of the run. Exit status 1 if a check fails."""
    from flows.commands import screens
    from flows.starting import dry_run, preflight
    from training.errors import CheckpointError

    found = preflight.findings(loop)
    screens.print_findings(found)
    try:
        print(*dry_run.lines(loop, dry_run.forecast(loop)), sep="\n")
    except CheckpointError as error:
        print(f"policy.model: {error}")
    if not all(finding.ok for finding in found):
        raise typer.Exit(1)


def _watch(started: "Started", loop: "LoopConfig") -> None:
    """Show a run to its end; Ctrl+C leaves it running."""
    from flows.commands import operations, screens, watching
    from flows.settings.hints import on_run, on_services
    from flows.settings.run_folder import RunFolder
    from flows.starting.starting import NOTHING_TO_DO
    from storage.run_layout import is_run

    with operations.prefect_server(loop) as server:
        print(f"run {started.run}: {server.page(started.flow_run.id)}")
        try:
            with screens.run_screen() as show:
                ended = watching.follow(server, started.flow_run.id, started.root, show)
            if ended.message.startswith(NOTHING_TO_DO):
                print(ended.message)
        except KeyboardInterrupt:
            stop, go_on = on_services("down", loop.services.state_dir), on_run("resume", started.root)
            print(f"run {started.run} goes on without being watched; {stop} stops it, {go_on} goes on with it")
            raise typer.Exit(130) from None
        finally:
            if is_run(started.root):
                folder = RunFolder.open(started.root)
                screens.print_summary(folder, operations.links(folder, started.flow_run.id))
