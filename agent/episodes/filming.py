"""Fetches the recordings of a finished episode: films, a trace, a log of requests.

They never fail an episode, nor delay it for long.
"""

import asyncio
import logging
import time
from typing import NamedTuple

from agent.recording import Recording
from agent.types import Recorded, RecordedKind
from browser_service.client import Browser
from browser_service.errors import BrowserServiceError
from browser_service.models import Artifact
from browser_service.models import Recording as Wanted

logger = logging.getLogger(__name__)

FETCH_DEADLINE_S = 60.0
"""Seconds for all recordings of an episode; the episode keeps its slot of the rank until then."""
FINISH_DEADLINE_S = 30.0
"""Seconds that the service may take to finish them: it gives up on each after 10 s."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5
MOST_TABS = 8
"""Largest number of films kept per episode: a page may open any number of tabs."""


async def fetch_recorded(
    browser: Browser, wanted: Wanted, recording: Recording, *, deadline_s: float = FETCH_DEADLINE_S
) -> tuple[Recorded, ...]:
    """Fetches the recordings of a lease that is over into `recording`. A missing one is returned with its problem."""
    kinds = recorded_kinds(wanted)
    offered: list[_Offered] = []
    found: list[Recorded] = []
    try:
        async with asyncio.timeout(deadline_s):
            offered = await _finished(browser, kinds)
            for one in offered:
                found.append(await _fetch(browser, one, recording))
    except TimeoutError:
        problem = f"it did not come within {deadline_s:g} s"
    except BrowserServiceError as error:
        problem = error.detail
    except OSError as error:
        problem = f"it could not be stored: {error}"
    else:
        problem = "the browser service made none"
    missing = [one.kind for one in offered[len(found) :]]
    missing += [kind for kind in kinds if kind not in {one.kind for one in offered}]
    for kind in missing:
        logger.warning("no %s of %s: %s", kind, browser.lease.instance_id, problem)
    return (*found, *(Recorded(kind=kind, problem=problem[:300]) for kind in missing))


def recorded_kinds(wanted: Wanted) -> list[RecordedKind]:
    """The wanted kinds of recording."""
    kinds: tuple[RecordedKind, ...] = ("video", "trace", "network", "console")
    return [kind for kind in kinds if getattr(wanted, kind)]


class _Offered(NamedTuple):
    kind: RecordedKind
    number: int
    """Number among the artifacts of its kind."""
    artifact: Artifact


async def _finished(browser: Browser, kinds: list[RecordedKind]) -> list[_Offered]:
    """The service's artifacts by kind: it finishes all of them after the lease, then offers them together."""
    until, pause_s = time.monotonic() + FINISH_DEADLINE_S, FIRST_PAUSE_S
    while True:
        artifacts = await browser.artifacts()
        offered = [
            _Offered(kind, number, artifact)
            for kind in kinds
            for number, artifact in enumerate([one for one in artifacts if one.kind == kind][:MOST_TABS], start=1)
        ]
        if offered or time.monotonic() > until:
            return offered
        await asyncio.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)


def file_name(kind: RecordedKind, number: int) -> str:
    """File name of the n-th recording of a kind. Example: `file_name("video", 2) == "video-2.webm"`."""
    if kind != "video":
        return "trace.zip" if kind == "trace" else f"{kind}.jsonl"
    return "video.webm" if number == 1 else f"video-{number}.webm"


async def _fetch(browser: Browser, one: _Offered, recording: Recording) -> Recorded:
    name, partial = file_name(one.kind, one.number), recording.partial()
    try:
        await browser.download(one.artifact, partial)
        size = await asyncio.to_thread(recording.add_file, partial, name)
    finally:
        partial.unlink(missing_ok=True)
    return Recorded(kind=one.kind, file=name, size=size)
