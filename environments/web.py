"""Runs a web application inside the caller's event loop; environments serve their sites with it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from fastapi import FastAPI

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 5.0


@contextlib.asynccontextmanager
async def serving(app: FastAPI, *, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """Yields the address of the running application, such as `http://127.0.0.1:40123`; port 0 takes any free one.

    Raises:
        OSError: with one sentence if the port is taken.
        TimeoutError: if it is not up after `START_DEADLINE_S` seconds, or not down `STOP_DEADLINE_S` after leaving.
    """
    listener = listen(host, port)
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve([listener]), name=f"web server on port {listener.getsockname()[1]}")
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            await server.up.wait()
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(STOP_DEADLINE_S):
            await running


def listen(host: str, port: int) -> socket.socket:
    """Binds a socket to the address. Raises OSError that names a port that is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        detail = f"Cannot serve a site on {host}:{port} ({error.strerror}); choose another port, or 0 for any free one."
        raise OSError(error.errno, detail) from error
    return listener


class _Server(uvicorn.Server):
    """Signals when it is up, and leaves the process's signals to the surrounding program."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
