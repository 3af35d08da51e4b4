"""How the stores of leases say no: the same sentences, whichever store is asked."""

from browser_service.errors import LeaseMismatch, NoCapacity, RateLimited
from browser_service.leasing.leases import RETRY_AFTER_S, Ticket


def no_capacity(ticket: Ticket, capacity: int) -> NoCapacity:
    """The wait is over."""
    wait_s = ticket.request.wait_s
    if capacity < ticket.count:
        why = f"{ticket.count} browsers were asked for and the open places have {capacity} slots"
    else:
        why = f"the service's {capacity} slots stayed leased for the {wait_s:g} s of the wait"
    return NoCapacity(
        f"no capacity: {why}; release leases, wait longer or start the service with more slots",
        retry_after_s=RETRY_AFTER_S,
    )


def abandoned() -> NoCapacity:
    """The client said that it no longer wants what this ticket stands for."""
    return NoCapacity("no capacity is kept for a request that was abandoned; ask again", retry_after_s=RETRY_AFTER_S)


def other_request(ticket: Ticket, found: int) -> LeaseMismatch:
    """The idempotency key belongs to something else, or to what is left of a batch."""
    return LeaseMismatch(
        f"{ticket.count} browsers were asked for with a key that has {found} live leases; release those and use another key"
    )


def queue_full(limit: int, share: str | None) -> RateLimited:
    """Too many wait already, in all or of one share."""
    whose = "requests" if share is None else f"requests of share {share!r}"
    return RateLimited(
        f"{limit} {whose} wait for a browser, and no more may; ask again later", retry_after_s=RETRY_AFTER_S
    )
