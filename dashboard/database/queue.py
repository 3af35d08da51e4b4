"""The queue of rollouts in the database: claimed by workers with leases, cancelled from outside, given back when a worker is lost."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, ScalarResult, select, update
from sqlalchemy.orm import Session

from dashboard.database.states import ACTIVE, Status, log, move, rows_changed
from dashboard.database.tables import RolloutRow

LEASE_S = 15.0
"""Seconds without a renewal after which a worker has lost a lease."""
MOST_TRIES = 3
"""Times that a rollout is begun before it is given up, when its workers are lost."""


class Claimed(NamedTuple):
    """A rollout that a worker has got."""

    id: str
    status: Status
    """`provisioning`: to be played; `judging`: played, to be judged."""


class Renewed(NamedTuple):
    """Result of a renewal."""

    lost: set[str]
    """Rollouts that the worker does not own any more."""
    cancelled: dict[str, str]
    """Rollouts to be cancelled, with who asked for it."""
    paused: set[str]
    """Rollouts that wait before their next turn."""


def claim(session: Session, owner: str, most: int) -> list[Claimed]:
    """Claims up to `most` rollouts: first those that are only to be judged, then by priority and age."""
    claimed: list[Claimed] = []
    until = time.time() + LEASE_S
    unjudged = select(RolloutRow.id).where(
        RolloutRow.status == "judging", RolloutRow.source == "hand", RolloutRow.owner == ""
    )
    for rollout_id in session.scalars(unjudged.order_by(RolloutRow.number).limit(most)).all():
        mine = update(RolloutRow).where(
            RolloutRow.id == rollout_id, RolloutRow.status == "judging", RolloutRow.owner == ""
        )
        if rows_changed(session, mine.values(owner=owner, lease_until=until)) == 1:
            claimed.append(Claimed(rollout_id, "judging"))
    waiting = select(RolloutRow.id, RolloutRow.tries).where(RolloutRow.status == "pending", RolloutRow.source == "hand")
    first = waiting.order_by(RolloutRow.priority.desc(), RolloutRow.number).limit(most - len(claimed))
    for rollout_id, tries in session.execute(first).all():
        mine: dict[str, Any] = {"owner": owner, "lease_until": until, "tries": tries + 1}
        begun = f"begun by {owner}"
        if move(session, rollout_id, "provisioning", begun, started_at=time.time(), steps=0, **mine):
            claimed.append(Claimed(rollout_id, "provisioning"))
    return claimed


def renew(session: Session, owner: str, held: Collection[str]) -> Renewed:
    """Renews a worker's leases on the rollouts that it holds."""
    if not held:
        return Renewed(set(), {}, set())
    mine = (RolloutRow.owner == owner, RolloutRow.id.in_(held))
    session.execute(update(RolloutRow).where(*mine).values(lease_until=time.time() + LEASE_S))
    found = session.execute(select(RolloutRow.id, RolloutRow.cancel_by, RolloutRow.paused_by).where(*mine)).all()
    cancelled = {rollout_id: who for rollout_id, who, _ in found if who}
    paused = {rollout_id for rollout_id, _, who in found if who}
    return Renewed(set(held) - {row[0] for row in found}, cancelled, paused)


class LeaseWatch:
    """Finds lost leases: those that nobody renewed for `LEASE_S` seconds while this object looked, by a steady clock.

    Clocks are set and differ between machines, so the time that a lease holds is only compared with itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[tuple[str, float], float]] = {}

    def lost(self, session: Session) -> Sequence[RolloutRow]:
        """The rollouts whose leases are lost. To be called again and again, more often than every `LEASE_S` seconds."""
        now, rows = self._clock(), _leased(session).all()
        leases = {row.id: (row.owner, row.lease_until) for row in rows}
        before = self._seen
        self._seen = {
            name: before[name] if name in before and before[name][0] == lease else (lease, now)
            for name, lease in leases.items()
        }
        return [row for row in rows if now - self._seen[row.id][1] > LEASE_S]


def rollouts_of(session: Session, owner: str) -> Sequence[RolloutRow]:
    """The rollouts that a worker has leases on."""
    return _leased(session, RolloutRow.owner == owner).all()


def give_back(session: Session, rows: Sequence[RolloutRow], *, reason: str, counts: bool = True) -> None:
    """Gives rollouts of a lost worker back to the queue.

    One that was to be cancelled is cancelled, one that was begun too often fails; with `counts` False, for a worker
    that was stopped in order, this try does not count.
    """
    for row in rows:
        free = {"owner": "", "lease_until": 0.0, "live_url": "", "paused_by": "", "phase": ""}
        if row.cancel_by:
            move(session, row.id, "cancelled", f"cancelled by {row.cancel_by}", held_by=row.owner)
        elif row.status == "judging":
            again = update(RolloutRow).where(RolloutRow.id == row.id, RolloutRow.owner == row.owner)
            session.execute(again.values(**free))
            log(session, row.id, "judging", f"{reason}; it is judged again")
        elif counts and row.tries >= MOST_TRIES:
            sentence = f"{reason}, {row.tries} times; retry it when the worker is well"
            move(
                session, row.id, "failed", sentence, held_by=row.owner, failure_side="infra", failure_code="WORKER_LOST"
            )
        else:
            tries = row.tries if counts else row.tries - 1
            move(session, row.id, "pending", reason, held_by=row.owner, tries=tries, **free)


def cancel(session: Session, rollout_id: str, who: str) -> Status | None:
    """Cancels a rollout: a waiting one at once, a running one through its worker. Returns its status after that.

    None: there is no such rollout of this dashboard. One that has ended stays as it is.
    """
    waiting = update(RolloutRow).where(RolloutRow.id == rollout_id, RolloutRow.status == "pending")
    if rows_changed(session, waiting.values(cancel_by=who)) == 1:
        move(session, rollout_id, "cancelled", f"cancelled by {who}")
    running = update(RolloutRow).where(
        RolloutRow.id == rollout_id, RolloutRow.status.in_(ACTIVE), RolloutRow.cancel_by == ""
    )
    if rows_changed(session, running.values(cancel_by=who)) == 1:
        row = session.scalars(select(RolloutRow).where(RolloutRow.id == rollout_id)).one()
        log(session, rollout_id, row.status, f"{who} asks to cancel it")
        if not row.owner:  # played already, and no worker judges it yet
            move(session, rollout_id, "cancelled", f"cancelled by {who}")
    found = session.execute(
        select(RolloutRow.status).where(RolloutRow.id == rollout_id, RolloutRow.source == "hand")
    ).scalar()
    return cast(Status | None, found)


def pause(session: Session, rollout_id: str, who: str, *, hold: bool) -> bool:
    """Holds a rollout before its next turn, or lets it go on. False: it is not played now.

    Its browser stays leased meanwhile, and the time does not count towards the episode's deadline.
    """
    wanted = update(RolloutRow).where(RolloutRow.id == rollout_id, RolloutRow.status.in_(("provisioning", "running")))
    if rows_changed(session, wanted.values(paused_by=who if hold else "")) != 1:
        return False
    row = session.scalars(select(RolloutRow).where(RolloutRow.id == rollout_id)).one()
    log(session, rollout_id, row.status, f"{who} {'pauses it' if hold else 'lets it go on'}")
    return True


def _leased(session: Session, *conditions: ColumnElement[bool]) -> ScalarResult[RolloutRow]:
    mine = (RolloutRow.source == "hand", RolloutRow.status.in_(ACTIVE), RolloutRow.owner != "")
    return session.scalars(select(RolloutRow).where(*mine, *conditions))
