"""The refusals of the lease stores: the same messages for every store."""

from browser_service.errors import LeaseMismatch, NoCapacity, RateLimited
from browser_service.leasing.leases import RETRY_AFTER_S, Ticket


def no_capacity(ticket: Ticket, capacity: int) -> NoCapacity:
    """The error of a ticket whose wait is over."""
    wait_s = ticket.request.wait_s
    if capacity < ticket.count:
        why = f"{ticket.count} browsers were asked for and the open instances have {capacity} slots"
    else:
        why = f"the service's {capacity} slots stayed leased for the {wait_s:g} s of the wait"
    return NoCapacity(
        f"no capacity: {why}; release leases, wait longer or start the service with more slots",
        retry_after_s=RETRY_AFTER_S,
    )


def abandoned() -> NoCapacity:
    """The error of a ticket whose client has abandoned the request."""
    return NoCapacity("no capacity is kept for a request that was abandoned; ask again", retry_after_s=RETRY_AFTER_S)


def other_request(ticket: Ticket, found: int) -> LeaseMismatch:
    """The error of an idempotency key that belongs to another request, or to the rest of a batch."""
    return LeaseMismatch(
        f"{ticket.count} browsers were asked for with a key that has {found} live leases; release those and use another key"
    )


def queue_full(limit: int, share: str | None) -> RateLimited:
    """The error of a full queue, in total or of one share."""
    whose = "requests" if share is None else f"requests of share {share!r}"
    return RateLimited(
        f"{limit} {whose} wait for a browser, and no more may; ask again later", retry_after_s=RETRY_AFTER_S
    )
