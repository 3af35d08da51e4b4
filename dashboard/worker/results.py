"""Results that a worker writes about its rollouts: the end of an episode, a verdict, a failure."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from agent.types import Task, Trajectory
from agent.verdict import Verdict
from dashboard.database.opening import Database
from dashboard.database.states import cut, move
from dashboard.database.tables import JudgmentRow, RolloutRow
from dashboard.worker.playing import Asked


def asked(database: Database, rollout_id: str) -> Asked:
    """The rollout of a row."""
    with database.read() as session:
        row = session.scalars(select(RolloutRow).where(RolloutRow.id == rollout_id)).one()
        task = Task.model_validate(row.task)
        return Asked(row.id, task, row.environment, row.model, row.job_id or row.id, row.member, max(1, row.tries))


def played(session: Session, owner: str, trajectory: Trajectory) -> bool:
    """Writes the end of an episode: to be judged, or failed. False if the worker does not own the rollout any more."""
    changes: dict[str, Any] = {
        "goal": cut(trajectory.goal),
        "steps": len(trajectory.steps),
        "stop": trajectory.stop.value,
        "answer": None if trajectory.answer is None else cut(trajectory.answer),
        "seconds": trajectory.seconds,
        "trajectory_id": trajectory.id,
        "picture": last_picture(trajectory),
        "live_url": "",
        "phase": "",
        "failure_side": "",
        "failure_code": "",
        "error": "",
    }
    if (failure := trajectory.failure) is None:
        reason = f"played {len(trajectory.steps)} steps, ended by {trajectory.stop.value}"
        return move(session, trajectory.id, "judging", reason, held_by=owner, **changes)
    changes |= {"failure_side": failure.side, "failure_code": failure.code, "error": cut(failure.message)}
    reason = f"{failure.side} broke: {failure.code}, {failure.message}"
    return move(session, trajectory.id, "failed", reason, held_by=owner, **changes)


def judged(session: Session, owner: str, verdict: Verdict) -> bool:
    """Writes a verdict. False if the worker does not own the rollout any more."""
    success = None if verdict.reward is None else verdict.reward >= 1
    words = "success" if success else "no success" if success is False else "no judge could decide"
    reason = f"{words}, judged by {verdict.judge}"
    changes = {"success": success, "reward": verdict.reward}
    if not move(session, verdict.trajectory_id, "completed", reason, held_by=owner, **changes):
        return False
    session.add(
        JudgmentRow(
            rollout_id=verdict.trajectory_id,
            at=session.scalars(select(RolloutRow.completed_at).where(RolloutRow.id == verdict.trajectory_id)).one(),
            by=verdict.judge[:100],
            human=False,
            success=success,
            note=cut(verdict.evidence),
            verdict=verdict.model_dump(mode="json"),
        )
    )
    return True


def failed(session: Session, owner: str, rollout_id: str, side: str, code: str, message: str) -> bool:
    """Writes the failure of a rollout. False if the worker does not own it any more."""
    changes = {"failure_side": side, "failure_code": code, "error": cut(message)}
    return move(session, rollout_id, "failed", f"{side} broke: {code}, {message}", held_by=owner, **changes)


def progress(session: Session, owner: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes columns (phase, steps, picture, live address) of rollouts that this worker plays, by their ids.

    One prepared statement for all that change the same columns: with hundreds of rollouts one after another, the
    transaction would hold the database's only writer for most of a second.
    """
    table = RolloutRow.__table__
    assert isinstance(table, Table)
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for rollout_id, columns in changes.items():
        alike.setdefault(tuple(sorted(columns)), []).append({"its_id": rollout_id, **columns})
    for names, rows in alike.items():
        mine = (table.c.id == bindparam("its_id"), table.c.owner == owner)
        session.execute(update(table).where(*mine).values({name: bindparam(name) for name in names}), rows)


def last_picture(trajectory: Trajectory) -> str | None:
    """Hash of the last picture of a trajectory."""
    seen = [*(step.observation for step in trajectory.steps), trajectory.final_observation]
    shots = [one.screenshot.sha256 for one in seen if one is not None and one.screenshot is not None]
    return shots[-1] if shots else None
