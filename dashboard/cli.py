"""The command line: `python -m dashboard --runs runs --port 8100`."""

import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from dashboard.app import create_app

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
HOST = "127.0.0.1"
STOP_DEADLINE_S = 2


@app.command()
def serve(
    runs: Annotated[Path, typer.Option(help="directory of run folders")] = Path("runs"),
    port: Annotated[int, typer.Option(help="port on 127.0.0.1; 0 picks a free one", min=0, max=65_535)] = 8100,
) -> None:
    """Look at runs in a web browser: tables by iteration, trajectories, replays step by step. It only reads."""
    if not runs.is_dir():
        _stop(f"there is no directory {runs}; name the one that your runs are in with --runs")
    try:
        listener = listen(port)
    except OSError as error:
        _stop(str(error))
    with listener:
        print(f"http://{HOST}:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            create_app(runs), log_level="warning", server_header=False, timeout_graceful_shutdown=STOP_DEADLINE_S
        )
        uvicorn.Server(config).run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """Opens the socket on loopback. Raises OSError with one sentence when the port is busy."""
    # With the protocol set, asyncio switches Nagle's delay off (40 ms per reply).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # now, because two sockets that do not listen yet may share an address
    except OSError as error:
        listener.close()
        raise OSError(
            f"can't listen on {HOST}:{port} ({error.strerror}): choose another --port or stop what is there"
        ) from None
    return listener


def _stop(sentence: str) -> None:
    print(f"dashboard: {sentence}", file=sys.stderr)
    raise typer.Exit(1)


def main() -> None:
    """Entry point of `python -m dashboard`."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
