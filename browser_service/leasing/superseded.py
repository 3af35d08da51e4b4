"""Decides which leases to keep when one idempotency key has several answers.

A store gives a key one answer. It may have lost one, though, or ended one whose instance could not be notified: a
master was killed while it gave out a lease, an instance was silent for too long. When the instance then reports that
lease, its key has two. The next request with the key gets the one that a client most likely uses; the rest is ended.

    given by this ledger and claimed   delivered to a client, later than any lease that had been lost
    known from a report                perhaps delivered to a client, by an earlier ledger; the last used comes first
    not claimed yet                    delivered to no client

`lua/claim.lua` does the same for Redis.
"""

from collections.abc import Sequence

from browser_service.leasing.leases import Grant
from browser_service.leasing.ledger import BookedLease


def which_answer(leases: Sequence[BookedLease], count: int) -> list[BookedLease]:
    """The leases of one key that answer a request for `count` browsers: all of one batch. Empty if no batch does."""
    batches: dict[str, list[BookedLease]] = {}
    for lease in leases:
        batches.setdefault(lease.batch, []).append(lease)
    fitting = [batch for batch in batches.values() if len(batch) == count]
    return max(fitting, key=lambda batch: max(map(_standing, batch)), default=[])


def told_to_nobody(_: list[Grant]) -> None:
    """Ignores superseded leases: a store's default until a callback is set."""


def _standing(lease: BookedLease) -> tuple[int, int, str, int]:
    """Sort key, larger for leases to keep. Every call on a lease moves its end, so the last used ends last."""
    rank = 0 if lease.ticket_id is not None else 1 if lease.from_report else 2
    return rank, lease.until_us, lease.instance, lease.slot
