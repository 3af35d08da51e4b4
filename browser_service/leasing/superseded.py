"""One key, several answers: which of them is kept.

A store gives a key one answer. It may have forgotten one, though, or ended one whose place could not be told: a master was
killed while it gave out a lease, an instance was silent for too long. When the place then reports that lease, its key has
two. The next request with the key is answered with the one that a client most likely works with; the rest is ended.

    given by these books and claimed   somebody was told of it, later than of anything that had been forgotten
    known from a report                somebody may have been told of it, by the books of before; the last used comes first
    not claimed yet                    nobody was told of it

`lua/claim.lua` says the same for Redis.
"""

from collections.abc import Sequence

from browser_service.leasing.leases import Grant
from browser_service.leasing.ledger import BookedLease


def which_answer(leases: Sequence[BookedLease], count: int) -> list[BookedLease]:
    """Of the leases of one key those that answer a request for `count` browsers: all of one batch. Empty: none do."""
    batches: dict[str, list[BookedLease]] = {}
    for lease in leases:
        batches.setdefault(lease.batch, []).append(lease)
    fitting = [batch for batch in batches.values() if len(batch) == count]
    return max(fitting, key=lambda batch: max(map(_standing, batch)), default=[])


def told_to_nobody(_: list[Grant]) -> None:
    """What a store does with superseded leases until somebody wants to hear of them."""


def _standing(lease: BookedLease) -> tuple[int, int, str, int]:
    """Larger for the lease that is rather kept. Every call on a lease moves its end, so the last used ends last."""
    told = 0 if lease.ticket_id is not None else 1 if lease.from_report else 2
    return told, lease.until_us, lease.place, lease.slot
