"""The leases that this rank holds at an OmniBoxes master, on disk: the next start gives back what a killed one left.

The original resets every browser of the master at the start, those of other users too. Only the rank's own are here.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Unpack

from pydantic import TypeAdapter, ValidationError

from browser_service.client import Browser, LeaseOptions
from browser_service.client.omniboxes import OmniBoxesPool
from browser_service.models.tiers import OldLease
from storage.atomic import write_atomically

LEASES = TypeAdapter(list[OldLease])


class LoggedPool(OmniBoxesPool):
    """A pool that writes down which leases it holds."""

    def __init__(self, url: str, api_key: str | None, log: Path, *, lifetime_mins: float) -> None:
        super().__init__(url, api_key, lifetime_mins=lifetime_mins)
        self._log = log
        self._held: list[OldLease] = []

    async def give_back_left(self) -> int:
        """Gives back the leases that a killed process of this rank left; returns their number."""
        try:
            left = LEASES.validate_json(self._log.read_bytes())
        except (FileNotFoundError, ValidationError):
            return 0
        for lease in left:
            await self.reset(lease)
        self._write()
        return len(left)

    @asynccontextmanager
    async def lease(self, *, keep_alive: bool = True, **options: Unpack[LeaseOptions]) -> AsyncGenerator[Browser, None]:
        """As `OmniBoxesPool.lease`."""
        async with super().lease(keep_alive=keep_alive, **options) as browser:
            held = OldLease(instance_id=browser.lease.instance_id, node=browser.lease.node)
            self._held.append(held)
            self._write()
            try:
                yield browser
            finally:
                self._held.remove(held)
                self._write()

    def _write(self) -> None:
        content = json.dumps([held.model_dump() for held in self._held])
        write_atomically(self._log, content.encode(), durable=False)
