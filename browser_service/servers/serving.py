"""Serves an application of the service on a socket until a signal: SIGTERM waits for live leases, SIGINT does not."""

import asyncio
import logging
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from browser_service.background import Background
from browser_service.errors import BrowserServiceError
from browser_service.events import Event
from browser_service.settings import Settings
from browser_service.tiers.service import Service

log = logging.getLogger(__name__)

STOP_DEADLINE_S = 5
"""Seconds that active requests may take once the service stops."""
KEEP_ALIVE_S = 75
GLANCE_S = 0.2


def listen(settings: Settings) -> socket.socket:
    """The service's socket. Raises OSError with a one-sentence message: port busy, or address not local."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay (40 ms per reply) off only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise OSError(
            f"can't listen on {where} ({error.strerror}): choose another --port or stop what is there"
        ) from None
    return listener


async def serve(
    app: FastAPI, service: Service, listener: socket.socket, log_level: str, *, ends_with_driver: bool = False
) -> None:
    """Answers requests until a signal has ended the service.

    `ends_with_driver`: a dead Playwright driver ends it too, because a supervisor restarts it; raises `DriverDied`.
    """
    config = uvicorn.Config(
        app,
        log_level=log_level,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_DEADLINE_S,
    )
    # uvicorn raises the signal that stopped it once more; it must not end the process before the browsers are closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = _Server(config, service)
    if ends_with_driver:
        service.events.listen(server.notice)
    await server.serve(sockets=[listener])
    if server.driver_died:
        raise DriverDied("Playwright's driver died, and every browser with it")


class DriverDied(RuntimeError):
    """The process that drives the browsers is gone: this process has nothing left to serve."""


class _Server(uvicorn.Server):
    """uvicorn that waits for the leases on SIGTERM: it gives out no new ones and answers all other calls."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._background = Background(BrowserServiceError)
        self._draining = False
        self.driver_died = False

    def notice(self, event: Event) -> None:
        """Stops when the driver has died."""
        if event.kind == "crash" and event.fields.get("part") == "driver":
            self.driver_died = self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and not self._draining and self._service.settings.drain_deadline_s > 0:
            self._draining = True
            self._loop.call_soon_threadsafe(lambda: self._background.start(self._drain()))
        else:
            super().handle_exit(sig, frame)

    async def _drain(self) -> None:
        deadline_s = self._service.settings.drain_deadline_s
        log.info("stopping: no new leases, at most %g s for live ones", deadline_s)
        try:
            async with asyncio.timeout(deadline_s):
                await self._service.stop_giving()
                while left := await self._service.at_stake():
                    log.debug("%d leases are left", left)
                    await asyncio.sleep(GLANCE_S)
        except (TimeoutError, BrowserServiceError) as error:
            log.warning("stopping with live leases: %s", str(error) or f"{deadline_s:g} s are over")
        finally:
            self.should_exit = True
