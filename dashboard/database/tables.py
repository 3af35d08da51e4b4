"""Tables of the dashboard's database. Times are seconds since 1970.

Rows of source `run` are an index: they can be made again from the run folders. Everything else is only here.
"""

from typing import Any

from sqlalchemy import JSON, Boolean, Computed, Float, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables."""


class TaskRow(Base):
    """A task: uploaded, or met in a run."""

    __tablename__ = "tasks"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(128), unique=True)
    environment: Mapped[str] = mapped_column(String(100))
    """Name of the environment in the worker's configuration that serves it."""
    goal: Mapped[str] = mapped_column(Text)
    domain: Mapped[str] = mapped_column(String(200), default="")
    answer: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(10))
    """`upload` or `run`."""
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The task as `agent.types.Task`."""
    created_at: Mapped[float] = mapped_column(Float)


class RolloutRow(Base):
    """One rollout: played by hand (source `hand`), or found in a run folder (source `run`)."""

    __tablename__ = "rollouts"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(400), unique=True)
    source: Mapped[str] = mapped_column(String(10))
    job_id: Mapped[str] = mapped_column(String(64), default="")
    """Rollouts that were asked for together."""
    task_id: Mapped[str] = mapped_column(String(128))
    environment: Mapped[str] = mapped_column(String(100))
    domain: Mapped[str] = mapped_column(String(200), default="")
    goal: Mapped[str] = mapped_column(Text, default="")
    model: Mapped[str] = mapped_column(String(200), default="")
    task: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The task as it was when the rollout was asked for; None for rows of runs, whose trajectory has it."""

    run: Mapped[str] = mapped_column(String(128), default="")
    iteration: Mapped[int] = mapped_column(Integer, default=0)
    stage: Mapped[str] = mapped_column(String(20), default="")
    trajectory_id: Mapped[str] = mapped_column(String(200), default="")
    group_id: Mapped[str] = mapped_column(String(200), default="")
    member: Mapped[int] = mapped_column(Integer, default=0)
    changed: Mapped[float] = mapped_column(Float, default=0.0)
    """Time of the last change of the trajectory's file, by which the index sees what is new."""

    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text, default="")
    """Why it has this status, in a sentence."""
    phase: Mapped[str] = mapped_column(String(20), default="")
    steps: Mapped[int] = mapped_column(Integer, default=0)
    picture: Mapped[str | None] = mapped_column(String(64))
    """sha256 of the newest picture."""
    stop: Mapped[str] = mapped_column(String(20), default="")
    answer: Mapped[str | None] = mapped_column(Text)
    success: Mapped[bool | None] = mapped_column(Boolean)
    """The judge's; None: not judged. A person's verdict is in `human`."""
    reward: Mapped[float | None] = mapped_column(Float)
    human: Mapped[bool | None] = mapped_column(Boolean)
    verdict: Mapped[bool | None] = mapped_column(Boolean, Computed("coalesce(human, success)", persisted=True))
    """The verdict that counts: a person's, otherwise the judge's. The database keeps it, so that indexes can have it."""
    failure_side: Mapped[str] = mapped_column(String(10), default="")
    failure_code: Mapped[str] = mapped_column(String(60), default="")
    error: Mapped[str] = mapped_column(Text, default="")
    policy_version: Mapped[int | None] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float, default=0.0)

    priority: Mapped[int] = mapped_column(Integer, default=0)
    """Higher ones are played first."""
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """Number of times that a worker began to play it."""
    retry_of: Mapped[str] = mapped_column(String(400), default="")
    owner: Mapped[str] = mapped_column(String(200), default="")
    """Worker that plays it, empty when none does."""
    lease_until: Mapped[float] = mapped_column(Float, default=0.0)
    """The owner changes it again and again; a rollout with one that stands still is given back to the queue (`LeaseWatch`)."""
    cancel_by: Mapped[str] = mapped_column(String(100), default="")
    """Name of the user who asked to cancel it while it was played; empty: nobody."""
    paused_by: Mapped[str] = mapped_column(String(100), default="", server_default="")
    """Name of the user who holds it before its next turn; empty: nobody."""
    live_url: Mapped[str] = mapped_column(Text, default="")
    """Address of the browser's screen while it is played. It holds the lease's secret and is never shown."""
    created_at: Mapped[float] = mapped_column(Float)
    started_at: Mapped[float | None] = mapped_column(Float)
    completed_at: Mapped[float | None] = mapped_column(Float)

    __table_args__ = (
        # Newest first within a column; the columns after `number` let counts be answered by the index alone.
        Index("rollouts_by_time", "created_at", "number"),
        Index("rollouts_by_status", "status", "created_at", "number", "verdict", "source"),
        Index("rollouts_by_task", "task_id", "created_at", "number", "status", "verdict", "job_id"),
        Index("rollouts_by_run", "run", "iteration", "stage", "trajectory_id"),
        Index("rollouts_by_model", "model", "created_at", "number", "status", "verdict"),
        Index("rollouts_by_verdict", "verdict", "created_at", "number", "status"),
        Index("rollouts_by_model_and_verdict", "model", "verdict", "created_at", "number"),
        Index("rollouts_by_reward", "reward", "created_at", "number"),
        Index("rollouts_by_failure", "failure_code", "created_at", "number"),
        Index("rollouts_by_side", "failure_side", "created_at", "number"),
        Index("rollouts_by_job", "job_id", "created_at", "number"),
        Index("rollouts_by_source", "source", "created_at", "number", "status"),
    )


class EventRow(Base):
    """A line of a rollout's log."""

    __tablename__ = "events"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    rollout_id: Mapped[str] = mapped_column(String(400), index=True)
    at: Mapped[float] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)


class JudgmentRow(Base):
    """A verdict on a rollout, of a judge or of a person. The newest of each counts."""

    __tablename__ = "judgments"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    rollout_id: Mapped[str] = mapped_column(String(400), index=True)
    at: Mapped[float] = mapped_column(Float)
    by: Mapped[str] = mapped_column(String(100))
    """The judge's name, or the person's."""
    human: Mapped[bool] = mapped_column(Boolean)
    success: Mapped[bool | None] = mapped_column(Boolean)
    note: Mapped[str] = mapped_column(Text, default="")
    verdict: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The judge's verdict as `agent.verdict.Verdict`; None for a person's."""


class AuditRow(Base):
    """The audit log, user and action: uploads, spawned, cancelled, deleted and judged rollouts."""

    __tablename__ = "audit"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[float] = mapped_column(Float)
    who: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(400))
    detail: Mapped[str] = mapped_column(Text, default="")


class StageRow(Base):
    """A stage folder that has been read completely, with the state of its files at that time."""

    __tablename__ = "indexed_stages"
    place: Mapped[str] = mapped_column(String(200), primary_key=True)
    """Example: `demo/0003/rollout`."""
    signature: Mapped[str] = mapped_column(String(200))


class UserRow(Base):
    """A person who may log in."""

    __tablename__ = "users"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    role: Mapped[str] = mapped_column(String(10))
    """`viewer`, `runner` or `admin`."""
    password: Mapped[str] = mapped_column(String(200))
    """Argon2id hash; empty for a user with API tokens only."""
    created_at: Mapped[float] = mapped_column(Float)


class CredentialRow(Base):
    """A session of a browser, or an API token."""

    __tablename__ = "credentials"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the secret, which is not stored."""
    person: Mapped[str] = mapped_column(String(100), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    """`session` or `token`."""
    label: Mapped[str] = mapped_column(String(100))
    """A token's name; of a session of a person of DASHBOARD_TOKENS the digest of the secret that began it."""
    created_at: Mapped[float] = mapped_column(Float)
    expires_at: Mapped[float | None] = mapped_column(Float)
    """None: never."""


class SavedViewRow(Base):
    """A filter of the rollouts that somebody has given a name."""

    __tablename__ = "saved_views"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    query: Mapped[str] = mapped_column(Text)
    """The filter as the query of an address. Example: `status=failed&model=policy`."""
    who: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[float] = mapped_column(Float)
