"""Restarts a service through its supervisor: ends its process group, and the supervisor starts it again."""

import asyncio
import time
from pathlib import Path

from flows.services.processes import stop_group
from flows.services.service_files import ServiceStatus, read_status
from flows.services.services import is_running
from storage.errors import ServicesError

POLL_S = 0.25
"""Seconds between two reads of the supervisor's status."""


async def restart(state_dir: Path, name: str, *, deadline_s: float) -> None:
    """End a service and wait until a new process of it is ready; a service that was replaced meanwhile is not ended.

    Raises `ServicesError` when no supervisor runs it, or when the new process is not ready in time.
    """
    old = _status(state_dir, name).process
    if old is not None and old.is_alive():
        await stop_group(old.pid, term_s=0.0)  # a hanging engine ignores SIGTERM
    began = time.monotonic()
    while (status := _status(state_dir, name)).process == old or status.state != "ready":
        if time.monotonic() - began > deadline_s:
            raise ServicesError(
                f"{name} was not ready {deadline_s:.0f} s after it was ended to be started again; see {status.log}"
            )
        await asyncio.sleep(POLL_S)


def _status(state_dir: Path, name: str) -> ServiceStatus:
    status = read_status(state_dir)
    if status is None or not is_running(state_dir):
        raise ServicesError(
            f"{name} must be started again and nothing supervises it ({state_dir}); `rl-loop up` starts it"
        )
    try:
        return status.service(name)
    except KeyError:
        raise ServicesError(f"{name} must be started again, but it is no service of {state_dir}") from None
