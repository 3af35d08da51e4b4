"""`rl-loop dashboard`: the web application over the runs of a configuration, with the browsers of its services."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import ConfigOption, Overrides, loaded

HOST, PORT = "127.0.0.1", 8100


def dashboard(
    overrides: Overrides = None,
    port: Annotated[int, typer.Option(help="port; 0 picks a free one", min=0, max=65_535)] = PORT,
    host: Annotated[
        str, typer.Option(help="address to listen on; others than loopback need users or DASHBOARD_TOKENS")
    ] = HOST,
    play: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of environments and models for rollouts by hand; see docs/dashboard.md", show_default=False
        ),
    ] = None,
    worker: Annotated[bool, typer.Option(help="keep a worker running that plays rollouts")] = True,
    config: ConfigOption = None,
) -> None:
    """Look at runs in a web browser, start rollouts by hand, watch and judge them: `rl-loop dashboard --port 8100`.

    `rl-loop up` keeps one running (services.dashboard): then its address is printed. Works on finished runs with nothing
    else running; rollouts by hand need a browser service (`rl-loop up`).
    """
    from flows.commands.operations import dashboard_of
    from flows.monitor.console import console
    from flows.services.services import ServicesError, address_of
    from flows.services.specs import BROWSER

    loop = loaded(config, overrides)
    is_plain = (port, host, play) == (PORT, HOST, None)
    if is_plain and (running := dashboard_of(loop.services.state_dir, loop.runs_dir)):
        console().print(f"{running} is running already, started by `rl-loop up`", highlight=False, soft_wrap=True)
        return
    loop.runs_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dashboard", "--runs", str(loop.runs_dir), "--port", str(port), "--host", host]
    with suppress(ServicesError):  # not up: the pages work without, and /health names the remedy
        command += ["--browsers", address_of(loop.services.state_dir, BROWSER)]
    command += ["--config", str(play)] if play else []
    command += [] if worker else ["--no-worker"]
    # The dashboard takes this process's place: flows and dashboard don't import one another.
    os.execv(sys.executable, command)


def users(context: typer.Context, config: ConfigOption = None) -> None:
    """Manage who may log in to the dashboard: list, add, role, password, token, remove.

    Example: rl-loop users add ann --role admin
    """
    loop = loaded(config)
    loop.runs_dir.mkdir(parents=True, exist_ok=True)
    asked = context.args or ["--help"]
    place = [] if "--help" in asked else ["--runs", str(loop.runs_dir)]
    os.execv(sys.executable, [sys.executable, "-m", "dashboard", "users", *asked, *place])
