"""The command line: `python -m dashboard --runs runs --port 8100`, and `python -m dashboard worker` for a worker alone."""

import logging
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from dashboard.access.people import has_users
from dashboard.cli_options import Browsers, Config, Data, DatabaseUrl, Runs, settings_or_stop, stop
from dashboard.cli_users import users_app
from dashboard.database.opening import DatabaseProblem, open_database
from dashboard.serving import serve, service_of
from dashboard.settings import LOOPBACK, Settings, SettingsProblem, check_host
from dashboard.worker.config import ConfigProblem
from dashboard.worker.process import Keeper, work
from dashboard.worker.worker_lock import Taken
from telemetry.log_format import start_log

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
HOST = "127.0.0.1"

app.add_typer(users_app, name="users")


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context,
    runs: Runs = Path("runs"),
    port: Annotated[int, typer.Option(help="port; 0 picks a free one", min=0, max=65_535)] = 8100,
    host: Annotated[
        str, typer.Option(help="address to listen on; others than loopback need users or DASHBOARD_TOKENS")
    ] = HOST,
    data: Data = None,
    database: DatabaseUrl = None,
    config: Config = None,
    browsers: Browsers = None,
    worker: Annotated[bool, typer.Option(help="keep a worker running that plays rollouts")] = True,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="make the index of the runs again")] = False,
) -> None:
    """Look at runs in a web browser, start rollouts by hand, watch, judge and compare them.

    Environment: MAX_WORKERS (rollouts at the same time, 4), GEMINI_API_KEY, SQL_DUMP_PATH, DASHBOARD_TOKENS, DASHBOARD_DATABASE.
    """
    if context.invoked_subcommand is not None:
        return
    settings = settings_or_stop(runs, data, database, config, browsers)
    try:
        check_host(host, can_log_in=host in LOOPBACK or _can_log_in(settings))
        settings = settings.model_copy(update={"always_login": host not in LOOPBACK})
        listener = listen(port, host)
    except (OSError, SettingsProblem, DatabaseProblem, ArgumentError) as error:
        stop(str(error))
    keeper = Keeper(settings, _worker_command(settings)) if worker else None
    with listener:
        try:
            with service_of(settings) as service:
                print(f"http://{host}:{listener.getsockname()[1]}", flush=True)
                serve(service, listener, keeper=keeper, rebuild=rebuild)
        except (DatabaseProblem, ConfigProblem) as error:
            stop(str(error))
        except OSError as error:
            stop(f"{error.filename}: {error.strerror}; name a writable directory with --data")


@app.command("worker")
def worker_command(
    runs: Runs = Path("runs"),
    data: Data = None,
    database: DatabaseUrl = None,
    config: Config = None,
    browsers: Browsers = None,
) -> None:
    """Play the rollouts that people ask for, until SIGTERM. The dashboard starts one by itself."""
    settings = settings_or_stop(runs, data, database, config, browsers)
    start_log()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings.rollouts.mkdir(parents=True, exist_ok=True)
        work(settings)
    except (Taken, DatabaseProblem, ConfigProblem) as error:
        stop(str(error))


def listen(port: int, host: str = HOST) -> socket.socket:
    """Opens the socket. Raises OSError with one sentence when the port is busy, or the address is not of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol set, asyncio switches Nagle's delay off (40 ms per reply).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # now, because two sockets that do not listen yet may share an address
    except OSError as error:
        listener.close()
        raise OSError(
            f"can't listen on {host}:{port} ({error.strerror}): choose another --port or stop what is there"
        ) from None
    return listener


def _can_log_in(settings: Settings) -> bool:
    """True if there are tokens or users. Makes no database. Raises `DatabaseProblem`."""
    if settings.tokens:
        return True
    address = make_url(settings.database)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        return False
    database = open_database(settings.database)
    try:
        with database.read() as session:
            return has_users(session)
    finally:
        database.close()


def _worker_command(settings: Settings) -> list[str]:
    """The command line of a worker with the same settings. The database's address may hold a password: it is not in it."""
    command = ["worker", "--runs", str(settings.runs), "--data", str(settings.data), "--browsers", settings.browsers]
    return [*command, "--config", str(settings.config)] if settings.config else command


def main() -> None:
    """Entry point of `python -m dashboard`."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
