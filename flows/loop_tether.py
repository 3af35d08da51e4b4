"""Ends work on another machine with the loop that asked for it, as `flows.services.tether` does on one machine.

    runs/<name>/heartbeat.json    of the loop: lost, or of another process since the work began -> the work is cancelled

Otherwise a resumed loop would ask for the same work again, beside what still runs.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from storage.errors import LoopError
from storage.heartbeat import Heartbeat, read_heartbeat

POLL_S = 2.0
"""Seconds between two looks at the loop's heartbeat."""


class LoopGone(LoopError):
    """The loop that asked for this work is lost, or another one goes on with the run. The message is one sentence."""


@asynccontextmanager
async def ending_with_loop(root: Path, *, poll_s: float = POLL_S) -> AsyncGenerator[None]:
    """Cancels the block when the loop of a run is gone. Raises `LoopGone` then."""
    asked_by, work = read_heartbeat(root), asyncio.current_task()
    assert work is not None, "a coroutine runs in a task"
    reasons: list[str] = []

    async def watch() -> None:
        while True:
            if reason := _why_gone(root, asked_by):
                reasons.append(reason)
                work.cancel()
                return
            await asyncio.sleep(poll_s)

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not reasons:
            raise
        work.uncancel()
        raise LoopGone(f"{reasons[0]}, so this work is ended; a resumed loop asks for it again") from None
    finally:
        watcher.cancel()


def _why_gone(root: Path, asked_by: Heartbeat | None) -> str | None:
    beat = read_heartbeat(root)
    if asked_by is None or beat is None:
        return None
    if not beat.is_of(asked_by):
        return f"{beat} goes on with the run and not {asked_by}"
    if beat.ended:
        return f"the loop has ended ({beat})"
    return f"the loop is lost ({beat})" if beat.was_lost() else None
