"""The common start of every command: settings, log, and the exit with a one-sentence message."""

import logging
import os
from typing import Any, NoReturn

import typer

from browser_service.settings import Settings, SettingsError, read_settings
from telemetry.log_format import start_log

MASTER_PORT, NODE_PORT, INSTANCE_PORT = 7000, 8080, 9000


def settings_of(log_level: str, default_port: int, **overrides: Any) -> Settings:
    """The settings of the environment and the command line, which wins. Starts the log. Exits on an error."""
    start_log(log_level)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    environment = {"BROWSER_SERVICE_PORT": str(default_port)} | {
        name: value for name, value in os.environ.items() if name != "BROWSER_SERVICE_PORT" or value
    }
    environment.pop("BROWSER_SERVICE_SUPERVISOR", None)
    try:
        return read_settings(environment, **overrides)
    except SettingsError as error:
        stop(str(error))


def stop(sentence: str) -> NoReturn:
    """Ends the command with a sentence on standard error."""
    typer.echo(f"browser-service: {sentence}", err=True)
    raise typer.Exit(1)
