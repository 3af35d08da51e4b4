"""`rl-loop`: start and stop the services, run, resume and evaluate loops, look at the machine and at runs.

Heavy modules are imported after the command line has been parsed, so that --help answers at once.
"""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.monitor_cli import monitor
from flows.tasks_cli import tasks_app

if TYPE_CHECKING:
    from flows.config import LoopConfig
    from flows.operations import Started
    from flows.run_folder import RunFolder

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train visual web agents with reinforcement learning: real browsers, vLLM, TRL and Prefect in one durable loop.",
)

app.add_typer(tasks_app, name="tasks")
app.command()(monitor)

DEFAULT_CONFIG = Path("configs/demo.yaml")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="YAML file of the loop")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value, for example rollout.group_size=8", show_default=False)
]


@app.command()
def up(overrides: Overrides = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Start Prefect server and worker, MLflow, vLLM and the browser service, and say where each is."""
    from flows import operations, screens

    loop = _load(config, overrides)
    with screens.services_screen() as watch:
        status = operations.bring_up(loop, watch)
    screens.print_services(status)


@app.command()
def down(overrides: Overrides = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Stop exactly what `up` started."""
    from flows import services

    stopped = services.shut_down(_load(config, overrides).services.state_dir)
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing to stop")


@app.command()
def status(overrides: Overrides = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the services and their health."""
    from flows import screens, supervisor

    found = supervisor.read_status(_load(config, overrides).services.state_dir)
    if found is None or not found.supervisor.is_alive():
        print("no services are running; `rl-loop up` starts them")
        raise typer.Exit(1)
    screens.print_services(found)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="YAML file of the loop")] = DEFAULT_CONFIG,
    overrides: Overrides = None,
    name: Annotated[
        str | None, typer.Option(help="name of the run; default: the configuration's, numbered", show_default=False)
    ] = None,
    prefect: Annotated[bool, typer.Option(help="run under Prefect; without, the same stages in this process")] = True,
) -> None:
    """Start a loop and watch it to its end. Services that are not up are started, and stay up."""
    from flows import operations, screens, stages, starting

    loop = _load(config, overrides)
    with screens.services_screen() as watch:
        operations.bring_up(loop, watch)
    if prefect:
        _watch(operations.start_run(config, overrides or [], loop, name), loop)
    else:
        folder = starting.new_folder(loop, name)
        asyncio.run(stages.run_alone(folder))
        screens.print_summary(folder, operations.links(folder, None))


@app.command()
def demo(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT_CONFIG,
    keep: Annotated[bool, typer.Option(help="leave the services running at the end")] = False,
) -> None:
    """Everything once: start the services, deploy, train through Prefect, show what came out, stop the services."""
    from flows import operations, screens, services

    loop = _load(config, overrides)
    keep = keep or services.is_running(loop.services.state_dir)
    try:
        with screens.services_screen() as watch:
            status = operations.bring_up(loop, watch)
        screens.print_services(status)
        _watch(operations.start_run(config, overrides or [], loop, None), loop)
    finally:
        if keep:
            print("the services stay up; `rl-loop down` stops them")
        else:
            services.shut_down(loop.services.state_dir)


@app.command()
def env(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print the variables that point the `prefect` command at our server: eval "$(rl-loop env)"."""
    from flows import services
    from flows.service_specs import PREFECT

    url = services.address_of(_load(config, None).services.state_dir, PREFECT)
    print(f"export PREFECT_API_URL={url}/api")


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="name of the run")],
    config: ConfigOption = DEFAULT_CONFIG,
    prefect: Annotated[bool, typer.Option(help="run under Prefect; without, the same stages in this process")] = True,
) -> None:
    """Go on with a run where it stopped: bring services back, clear dead flow runs, skip everything that is finished."""
    from flows import operations, screens, stages, tracking

    folder = _open(run, config)
    if folder.next_stage() is None:
        print(f"nothing to do: all {folder.config.iterations} iterations of {run} are finished")
        tracking.sync(folder)
        screens.print_summary(folder, operations.links(folder, None))
        return
    with screens.services_screen() as watch:
        operations.bring_up(folder.config, watch)
    if prefect:
        _watch(operations.resume_run(folder), folder.config)
    else:
        asyncio.run(stages.run_alone(folder))
        screens.print_summary(folder, operations.links(folder, None))


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="name of the run")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Measure the newest policy of a run on the held-out tasks."""
    from flows import operations, screens

    folder = _open(run, config)
    with screens.services_screen() as watch:
        operations.bring_up(folder.config, watch)
    report = operations.evaluate_now(folder)
    print(screens.stage_line(report))


@app.command()
def doctor(
    run: Annotated[
        str | None, typer.Argument(help="a run to look at; without it, this machine", show_default=False)
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Check this machine, or the folder of a run."""
    from flows import checkup, preflight, screens

    loop = _load(config, None)
    found = preflight.findings(loop) if run is None else checkup.findings(loop.runs_dir / run)
    screens.print_findings(found)
    if not all(finding.ok for finding in found):
        raise typer.Exit(1)


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="name of the run, or its folder")],
    out: Annotated[Path | None, typer.Option(help="file to write; default: RUN.parquet", show_default=False)] = None,
    pictures: Annotated[bool, typer.Option(help="put the screenshots' bytes into the file too")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the trajectories of a run's finished stages to a Parquet file, a row per step."""
    from flows.errors import LoopError
    from flows.export import export_run

    folder = _open(run, config)
    path = out or Path(f"{folder.name}.parquet")
    try:
        rows = export_run(folder, path, pictures=pictures)
    except OSError as error:
        raise LoopError(f"{path} cannot be written: {error.strerror or error}") from error
    print(f"{rows} rows in {path}, {path.stat().st_size / 1e6:.1f} MB")


@app.command()
def compact(
    run: Annotated[str, typer.Argument(help="name of the run, or its folder")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Pack the trajectories of a run's finished stages: one file per stage, and nothing that nobody needs."""
    from flows.upkeep import compact_run

    folder = _open(run, config)
    for directory, done in compact_run(folder):
        files, sizes = f"{done.files_before} files -> {done.files_after}", (done.bytes_before, done.bytes_after)
        megabytes = " -> ".join(f"{size / 1e6:.1f}" for size in sizes)
        print(f"{directory.relative_to(folder.root)}: {done.trajectories} trajectories, {files}, {megabytes} MB")


def _open(run: str, config: Path) -> "RunFolder":
    """A run by its name, or by the path of its folder."""
    from flows.starting import find_run

    return find_run(run, config)


def _watch(started: "Started", loop: "LoopConfig") -> None:
    """Show a run to its end; Ctrl+C leaves it running."""
    from flows import operations, screens, watching
    from flows.run_folder import RunFolder

    with operations.prefect_server(loop) as server:
        print(f"run {started.run}: {server.page(started.flow_run.id)}")
        try:
            with screens.run_screen() as show:
                watching.follow(server, started.flow_run.id, started.root, show)
        except KeyboardInterrupt:
            print(
                f"run {started.run} goes on without being watched; `rl-loop down` stops it, `rl-loop resume` goes on with it"
            )
            raise typer.Exit(130) from None
        finally:
            if (started.root / "run.json").exists():
                folder = RunFolder.open(started.root)
                screens.print_summary(folder, operations.links(folder, started.flow_run.id))


def _load(path: Path, overrides: list[str] | None) -> "LoopConfig":
    from flows.config import load_config

    return load_config(path, overrides or [])


def main() -> None:
    """Entry point: expected errors are one sentence on stderr and exit status 1."""
    from flows.errors import LoopError

    try:
        app()
    except LoopError as error:
        print(f"rl-loop: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
