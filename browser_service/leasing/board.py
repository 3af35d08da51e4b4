"""A board of short notices that the masters of one service share: present and lost members, and drain orders.

Each master repeats its notices periodically, so a board that has lost its content is soon filled again.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from browser_service.models.wire import Wire

Kind = Literal["front", "instance", "lost", "order"]


class Notice(Wire):
    """One fact for the other masters. Example: `Notice(kind="instance", name="http://10.0.0.2:9000", ttl_s=600)`."""

    kind: Kind
    name: str
    ttl_s: Annotated[float, Field(gt=0)]
    """Seconds that it is kept after it was last posted."""
    data: dict[str, Any] = {}
    version: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """A notice with an older version than the posted one is ignored."""


class Posted(Notice):
    """A notice as the board has it."""

    age_s: float
    """Seconds since it was last posted."""


class Board(Protocol):
    """A board. Raises `RegistryDown` if it can't be reached."""

    async def exchange(self, notices: Sequence[Notice]) -> list[Posted]:
        """Posts the notices and returns all that are on the board."""
        ...


class InProcessBoard:
    """The board of a process that shares none with others."""

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
