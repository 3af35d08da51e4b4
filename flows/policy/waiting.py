"""Waiting for a service that is down, which its supervisor starts again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import httpx

from flows.services.services import is_running
from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from storage.errors import LoopError

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""Seconds between two health checks of a service that is down."""


class StageError(LoopError):
    """A stage could not be finished. The message is one sentence."""


async def wait_well(folder: RunFolder, what: str, ask: Callable[[], Awaitable[bool]]) -> None:
    """Poll until a service is healthy; the supervisor restarts it meanwhile. Raises `StageError` naming the service."""
    services = folder.config.services
    began = time.monotonic()
    warned = False
    while True:
        try:
            if await ask():
                return
        except httpx.HTTPError:  # not listening: the supervisor is restarting it, or there is none
            pass
        if not is_running(services.state_dir):
            raise StageError(
                f"{what} is down and nothing supervises it ({services.state_dir}); {on_run('resume', folder.root)} starts it"
            )
        if time.monotonic() - began > services.heal_s:
            raise StageError(
                f"{what} was not healthy again within {services.heal_s:.0f} s (services.heal_s); see {services.state_dir / 'logs'}"
            )
        if not warned:
            logger.warning("%s does not answer: waiting for the supervisor to start it again", what)
            warned = True
        await asyncio.sleep(POLL_S)
