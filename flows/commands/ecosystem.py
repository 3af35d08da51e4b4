"""`rl-loop openenv`: an environment as a server for OpenEnv's clients."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import ConfigArgument, Overrides


def openenv(
    config: ConfigArgument = None,
    overrides: Overrides = None,
    port: Annotated[int, typer.Option(help="port on 127.0.0.1", min=1, max=65_535)] = 8900,
    sessions: Annotated[int, typer.Option(help="sessions at the same time, each with a browser", min=1, max=256)] = 8,
    browsers: Annotated[
        str | None,
        typer.Option(help="address of a browser service; by default that of `rl-loop up`", show_default=False),
    ] = None,
) -> None:
    """Serve a configuration's environment to OpenEnv's clients, until Ctrl+C. It listens on this machine only.

    Example: rl-loop openenv configs/demo.yaml --port 8900
    """
    from flows.ecosystem.hosting import make_host
    from flows.settings.checkout import config_or_default
    from storage.errors import LoopError

    try:
        import uvicorn

        from flows.ecosystem.openenv_server import openenv_app
    except ImportError as error:
        raise LoopError(
            f"{error.name} is missing; it needs an environment of its own: pip install -e '.[browser,environments,gym,openenv]'"
        ) from None
    host = make_host(Path(config_or_default(config)), browsers=browsers, overrides=overrides or [])
    with openenv_app(host, sessions=sessions) as app:
        typer.echo(f"OpenEnv server on http://127.0.0.1:{port}, {sessions} sessions at the same time")
        uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
