"""`rl-loop`: start and stop the services, run, resume and evaluate loops, look at the machine and at runs.

Heavy modules are imported after the command line has been parsed, so that --help answers at once.
"""

import contextlib
import sys
from typing import Annotated

import typer

from flows.commands.comparing import compare
from flows.commands.dashboard import dashboard, users
from flows.commands.ecosystem import openenv
from flows.commands.environments import environments_app
from flows.commands.forking import fetch, fork
from flows.commands.imports import import_app
from flows.commands.init import init
from flows.commands.judge_report import judge_report
from flows.commands.judging import rejudge
from flows.commands.monitor import monitor
from flows.commands.options import ConfigOption, Overrides, loaded
from flows.commands.people import verdict
from flows.commands.policies import export_policy, sft
from flows.commands.presets import presets
from flows.commands.runs import cancel, compact, demo, evaluate, export, prune, resume, run
from flows.commands.tasks import tasks_app
from flows.settings.parts import Only

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train visual web agents with reinforcement learning: real browsers, vLLM, TRL and Prefect in one durable loop.",
)

app.add_typer(tasks_app, name="tasks")
app.add_typer(environments_app, name="environments")
app.add_typer(import_app, name="import")


@app.command()
def up(
    overrides: Overrides = None,
    config: ConfigOption = None,
    only: Annotated[
        Only | None, typer.Option(help="start only this part, for loops on other machines", show_default=False)
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="stay until SIGTERM, then stop all, as in a container")] = False,
) -> None:
    """Start Prefect server and worker, MLflow, vLLM and the browser service, and print the address of each.

    Example: rl-loop up; on a machine for browsers: rl-loop up --only browsers services.listen=10.0.0.7
    """
    from flows.commands import operations, screens

    loop = loaded(config, overrides)
    with screens.services_screen() as watch:
        status = operations.bring_up_part(loop, only, watch) if only else operations.bring_up(loop, watch)
    screens.print_services(status)
    if stay:
        operations.stay_up(loop.services.state_dir)


@app.command()
def down(overrides: Overrides = None, config: ConfigOption = None) -> None:
    """Stop exactly what `up` started."""
    from flows.services import services

    stopped = services.shut_down(loaded(config, overrides).services.state_dir)
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing to stop")


@app.command()
def status(overrides: Overrides = None, config: ConfigOption = None) -> None:
    """Show the services and their health."""
    from flows.commands import screens
    from flows.services import service_files, services

    state = loaded(config, overrides).services.state_dir
    found = service_files.read_status(state)
    if found is None or not found.supervisor.is_alive():
        print(f"no services are running from {state}; {services.HOW_TO_START}")
        raise typer.Exit(1)
    screens.print_services(found)


@app.command()
def logs(
    service: Annotated[
        str | None, typer.Argument(help="prefect, worker, mlflow, vllm or browser; default: all", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on with new lines until Ctrl+C")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="lines of each service to begin with")] = 20,
    config: ConfigOption = None,
) -> None:
    """Show the logs of the services, the newest lines last.

    Example: rl-loop logs vllm -f
    """
    from flows.services.service_logs import newest, shown

    state = loaded(config).services.state_dir
    with contextlib.suppress(KeyboardInterrupt):
        for line in shown(newest(state, service), lines=lines, follow=follow):
            print(line, flush=follow)


@app.command()
def env(overrides: Overrides = None, config: ConfigOption = None) -> None:
    """Print the variables that point the `prefect` command at our server: eval "$(rl-loop env)"."""
    from flows.services import services
    from flows.services.specs import PREFECT

    url = services.address_of(loaded(config, overrides).services.state_dir, PREFECT)
    print(f"export PREFECT_API_URL={url}/api")


@app.command()
def doctor(
    run: Annotated[
        str | None,
        typer.Argument(help="name or folder of a run to look at; without it, this machine", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Check this machine, or the folder of a run."""
    from flows.commands import checkup, screens
    from flows.settings.checkout import NoConfig
    from flows.starting import preflight
    from flows.starting.starting import find_run

    if run is not None:
        found = checkup.findings(find_run(run, config).root)
    else:
        try:
            found = preflight.findings(loaded(config))
        except NoConfig as error:
            found = preflight.findings_without_config(error)
    screens.print_findings(found)
    if not all(finding.ok for finding in found):
        raise typer.Exit(1)


for command in (
    init,
    run,
    demo,
    resume,
    cancel,
    fork,
    evaluate,
    compare,
    verdict,
    rejudge,
    judge_report,
    export,
    export_policy,
    sft,
    compact,
    prune,
    fetch,
    monitor,
    presets,
    dashboard,
    openenv,
):
    app.command()(command)
# The rest of its line belongs to the dashboard's own command, which has its help.
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)(users)


def main() -> None:
    """Entry point: expected errors are one sentence on stderr and exit status 1."""
    from storage.errors import LoopError

    try:
        app()
    except LoopError as error:
        print(f"rl-loop: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:  # not about a file of the user
            raise
        print(f"rl-loop: {error.filename}: {error.strerror}; is it readable, and writable, for you?", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
