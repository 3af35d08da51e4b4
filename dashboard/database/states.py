"""The states of a rollout, and the only function that changes one.

    pending -> provisioning -> running -> judging -> completed | failed | cancelled

`completed`: played to its end, and the judges were asked; `success` is None when none of them could decide. `failed`: the
infrastructure, the site or the judge broke; it counts for no success rate. Judging again leads from an end back to
`judging`, a lost worker from the middle back to `pending`. A retry is a new rollout.
"""

import time
from typing import Any, Literal, cast, get_args

from sqlalchemy import CursorResult, Delete, Update, update
from sqlalchemy.orm import Session

from dashboard.database.tables import AuditRow, EventRow, RolloutRow

Status = Literal["pending", "provisioning", "running", "judging", "completed", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = get_args(Status)
ACTIVE: tuple[Status, ...] = ("provisioning", "running", "judging")
ENDED: tuple[Status, ...] = ("completed", "failed", "cancelled")
NEXT: dict[Status, tuple[Status, ...]] = {
    "pending": ("provisioning", "cancelled"),
    "provisioning": ("running", "judging", "pending", "failed", "cancelled"),
    "running": ("judging", "pending", "failed", "cancelled"),
    "judging": ("completed", "failed", "cancelled"),
    "completed": ("judging",),
    "failed": ("judging",),
    "cancelled": (),
}
LONGEST_TEXT = 2_000
"""Characters of a reason or a log line; longer ones are cut."""


def move(
    session: Session, rollout_id: str, to: Status, reason: str, *, held_by: str | None = None, **changes: Any
) -> bool:
    """Changes the status of a rollout, with its reason, and writes a line of its log.

    False, and nothing is changed, when the rollout is not in a status from which `to` can be reached, or is not owned by
    `held_by` any more: somebody else was faster. The database decides, so this holds between processes.
    """
    sources = [status for status in STATUSES if to in NEXT[status]]
    wanted = update(RolloutRow).where(
        RolloutRow.id == rollout_id, RolloutRow.source == "hand", RolloutRow.status.in_(sources)
    )
    if held_by is not None:
        wanted = wanted.where(RolloutRow.owner == held_by)
    now = time.time()
    if to in ENDED:
        changes = {
            "owner": "",
            "lease_until": 0.0,
            "live_url": "",
            "paused_by": "",
            "phase": "",
            "completed_at": now,
            **changes,
        }
    if rows_changed(session, wanted.values(status=to, reason=cut(reason), **changes)) != 1:
        return False
    log(session, rollout_id, to, reason)
    return True


def rows_changed(session: Session, statement: Update | Delete) -> int:
    """Runs the statement and returns the number of rows that it changed or deleted."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def log(session: Session, rollout_id: str, status: str, text: str) -> None:
    """Writes a line of a rollout's log."""
    session.add(EventRow(rollout_id=rollout_id, at=time.time(), status=status, text=cut(text)))


def audit(session: Session, who: str, action: str, subject: str, detail: str = "") -> None:
    """Writes a line of the audit log."""
    session.add(AuditRow(at=time.time(), who=who, action=action, subject=subject, detail=cut(detail)))


def cut(text: str) -> str:
    """The text without what the database can't hold (NUL), and not longer than a log line."""
    clean = text.replace("\x00", "\ufffd")
    return clean if len(clean) <= LONGEST_TEXT else f"{clean[: LONGEST_TEXT - 1]}…"
