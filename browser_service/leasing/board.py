"""Who is there, who has gone, and who was told to drain: short notices that the masters of one service share.

Each is put up again every moment by whoever knows it, so a board that has forgotten everything is soon filled again.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from browser_service.models.wire import Wire

Kind = Literal["front", "place", "lost", "order"]


class Notice(Wire):
    """One thing to tell the other masters. Example: `Notice(kind="place", name="http://10.0.0.2:9000", ttl_s=600)`."""

    kind: Kind
    name: str
    ttl_s: Annotated[float, Field(gt=0)]
    """How long it is kept after it was put up for the last time."""
    data: dict[str, Any] = {}
    version: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """One that is older than the one that hangs there is not put up."""


class Posted(Notice):
    """A notice as it hangs there."""

    age_s: float
    """Seconds since it was put up for the last time."""


class Board(Protocol):
    """A board. One that can't be reached raises `RegistryDown`."""

    async def exchange(self, notices: Sequence[Notice]) -> list[Posted]:
        """Puts up the notices and reads all that are there."""
        ...


class InProcessBoard:
    """The board of a process that shares none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._posted: dict[tuple[str, str], tuple[Notice, float]] = {}

    async def exchange(self, notices: Sequence[Notice]) -> list[Posted]:
        now = self._clock()
        for notice in notices:
            known = self._posted.get((notice.kind, notice.name))
            if known is None or notice.version >= known[0].version:
                self._posted[notice.kind, notice.name] = notice, now
        self._posted = {key: one for key, one in self._posted.items() if now - one[1] < one[0].ttl_s}
        return [Posted(**notice.model_dump(), age_s=now - at) for notice, at in self._posted.values()]
