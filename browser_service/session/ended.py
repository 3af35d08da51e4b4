"""Leases that are over, remembered for a while, so that a late call is told what became of them.

There are thousands, so little is kept of each: who may ask, and what is answered.
"""

import copy
from collections import OrderedDict
from dataclasses import dataclass

from browser_service.errors import BrowserServiceError, LeaseMismatch
from browser_service.leasing.tokens import same_secret

REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class Holder:
    """Who may use a lease, and ask about it once it is over."""

    lease_id: str
    token: str
    needs_token: bool
    """False for old clients, who know no token: to them the id is the secret."""

    def check(self, token: str | None) -> None:
        """Raises `LeaseMismatch` unless the caller holds the lease."""
        if token is None and not self.needs_token:
            return
        if not same_secret(token, self.token):
            raise LeaseMismatch(f"the token is not that of lease {self.lease_id}; use the one that /get answered")


class EndedLeases:
    """The newest `REMEMBERED` of them."""

    def __init__(self) -> None:
        self._ended: OrderedDict[str, tuple[Holder, BrowserServiceError]] = OrderedDict()

    def add(self, holder: Holder, error: BrowserServiceError) -> None:
        """The lease is over; `error` is what late calls get."""
        # A copy, for the error that was raised holds on to all that was on the stack then.
        self._ended[holder.lease_id] = (holder, copy.copy(error))
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def find(self, lease_id: str, token: str | None) -> BrowserServiceError | None:
        """What ended the lease; None if it is not known here. Raises `LeaseMismatch`."""
        if (found := self._ended.get(lease_id)) is None:
            return None
        holder, error = found
        holder.check(token)
        return copy.copy(error)
