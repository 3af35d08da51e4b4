"""Ended leases, remembered for a while, so that a late call gets the reason of the end.

There are thousands, so only the holder and the answer are kept of each.
"""

import copy
from collections import OrderedDict
from dataclasses import dataclass

from browser_service.errors import BrowserServiceError, LeaseMismatch
from browser_service.leasing.tokens import same_secret

REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lease, who may also ask about it once it is over."""

    lease_id: str
    token: str
    needs_token: bool
    """False for old clients, which send no token: the id is their secret."""

    def check(self, token: str | None) -> None:
        """Raises `LeaseMismatch` unless the caller holds the lease."""
        if token is None and not self.needs_token:
            return
        if not same_secret(token, self.token):
            raise LeaseMismatch(f"the token is not that of lease {self.lease_id}; use the one that /get answered")


class EndedLeases:
    """The newest `REMEMBERED` ended leases."""

    def __init__(self) -> None:
        self._ended: OrderedDict[str, tuple[Holder, BrowserServiceError]] = OrderedDict()

    def add(self, holder: Holder, error: BrowserServiceError) -> None:
        """Adds a lease that is over; `error` is the answer to late calls."""
        # A copy, because the raised error references everything that was on its stack.
        self._ended[holder.lease_id] = (holder, copy.copy(error))
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def find(self, lease_id: str, token: str | None) -> BrowserServiceError | None:
        """The error that ended the lease; None if it is not known here. Raises `LeaseMismatch`."""
        if (found := self._ended.get(lease_id)) is None:
            return None
        holder, error = found
        holder.check(token)
        return copy.copy(error)
