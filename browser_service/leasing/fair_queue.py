"""The queue of requests for slots, in one process: fair over shares, first come first served within a share."""

from bisect import insort
from collections import OrderedDict
from collections.abc import Mapping

from browser_service.leasing.leases import Ticket


class FairQueue:
    """Waiting tickets. Times are microseconds of the owner's clock."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Ticket]] = {}
        """By share, the oldest ticket first."""
        self._tickets: dict[str, Ticket] = {}
        self._silent_at: OrderedDict[str, int] = OrderedDict()
        """Time at which each ticket expires unless it is claimed again, the earliest first."""
        self._kept_for: str | None = None

    def __len__(self) -> int:
        return len(self._tickets)

    def __contains__(self, ticket: Ticket) -> bool:
        return ticket.ticket_id in self._tickets

    def of_share(self, share: str) -> int:
        """Number of tickets of one share."""
        return len(self._lines.get(share, ()))

    def with_key(self, idempotency_key: str) -> list[Ticket]:
        """Tickets with this idempotency key."""
        return [ticket for ticket in self._tickets.values() if ticket.request.idempotency_key == idempotency_key]

    def keep(self, ticket: Ticket, silent_at: int) -> None:
        """Puts the ticket into the queue at the position of its age, until `silent_at` unless it is kept again."""
        if ticket.ticket_id not in self._tickets:
            self._tickets[ticket.ticket_id] = ticket
            insort(self._lines.setdefault(ticket.request.share, []), ticket, key=_age)
        self._silent_at[ticket.ticket_id] = silent_at
        self._silent_at.move_to_end(ticket.ticket_id)

    def remove(self, ticket: Ticket) -> None:
        """Removes the ticket, if it is in the queue."""
        if self._tickets.pop(ticket.ticket_id, None) is None:
            return
        del self._silent_at[ticket.ticket_id]
        line = self._lines[ticket.request.share]
        line.remove(ticket)
        if not line:
            del self._lines[ticket.request.share]
        if self._kept_for == ticket.ticket_id:
            self._kept_for = None

    def drop_silent(self, now: int) -> None:
        """Removes the tickets whose process has stopped claiming."""
        while self._silent_at:
            ticket_id, silent_at = next(iter(self._silent_at.items()))
            if silent_at > now:
                return
            self.remove(self._tickets[ticket_id])

    def keep_slots_for(self, ticket: Ticket) -> None:
        """Lets no other ticket overtake this one: it needs more slots than are free, and reserves freed slots."""
        self._kept_for = ticket.ticket_id

    def next_in_line(self, leases_by_share: Mapping[str, int], capacity: int) -> Ticket | None:
        """The next ticket, given the lease counts of the shares; skips tickets for more than `capacity` browsers."""
        kept = self._tickets.get(self._kept_for) if self._kept_for else None
        if kept and kept.count <= capacity:
            return kept
        heads = (next((ticket for ticket in line if ticket.count <= capacity), None) for line in self._lines.values())
        return min(
            (head for head in heads if head),
            key=lambda head: (leases_by_share.get(head.request.share, 0), *_age(head)),
            default=None,
        )


def _age(ticket: Ticket) -> tuple[int, str]:
    return ticket.since_us, ticket.ticket_id
