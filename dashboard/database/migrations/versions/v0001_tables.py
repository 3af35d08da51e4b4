"""The tables: tasks, rollouts, their log, verdicts, the audit log, the state of the index."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "events",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("rollout_id", sa.String(length=400), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_events_rollout_id"), "events", ["rollout_id"], unique=False)
    op.create_table(
        "indexed_stages",
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("signature", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_table(
        "judgments",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("rollout_id", sa.String(length=400), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("human", sa.Boolean(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("verdict", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_judgments_rollout_id"), "judgments", ["rollout_id"], unique=False)
    op.create_table(
        "rollouts",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=400), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("domain", sa.String(length=200), nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("task", sa.JSON(), nullable=True),
        sa.Column("run", sa.String(length=128), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("trajectory_id", sa.String(length=200), nullable=False),
        sa.Column("group_id", sa.String(length=200), nullable=False),
        sa.Column("member", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Float(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("picture", sa.String(length=64), nullable=True),
        sa.Column("stop", sa.String(length=20), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("reward", sa.Float(), nullable=True),
        sa.Column("human", sa.Boolean(), nullable=True),
        sa.Column("verdict", sa.Boolean(), sa.Computed("coalesce(human, success)", persisted=True), nullable=True),
        sa.Column("failure_side", sa.String(length=10), nullable=False),
        sa.Column("failure_code", sa.String(length=60), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_of", sa.String(length=400), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("cancel_by", sa.String(length=100), nullable=False),
        sa.Column("live_url", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("completed_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("rollouts_by_failure", "rollouts", ["failure_code", "created_at", "number"], unique=False)
    op.create_index("rollouts_by_job", "rollouts", ["job_id", "created_at", "number"], unique=False)
    op.create_index(
        "rollouts_by_model", "rollouts", ["model", "created_at", "number", "status", "verdict"], unique=False
    )
    op.create_index(
        "rollouts_by_model_and_verdict", "rollouts", ["model", "verdict", "created_at", "number"], unique=False
    )
    op.create_index("rollouts_by_reward", "rollouts", ["reward", "created_at", "number"], unique=False)
    op.create_index("rollouts_by_run", "rollouts", ["run", "iteration", "stage", "trajectory_id"], unique=False)
    op.create_index("rollouts_by_side", "rollouts", ["failure_side", "created_at", "number"], unique=False)
    op.create_index("rollouts_by_source", "rollouts", ["source", "created_at", "number", "status"], unique=False)
    op.create_index(
        "rollouts_by_status", "rollouts", ["status", "created_at", "number", "verdict", "source"], unique=False
    )
    op.create_index(
        "rollouts_by_task", "rollouts", ["task_id", "created_at", "number", "status", "verdict", "job_id"], unique=False
    )
    op.create_index("rollouts_by_time", "rollouts", ["created_at", "number"], unique=False)
    op.create_index("rollouts_by_verdict", "rollouts", ["verdict", "created_at", "number", "status"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("domain", sa.String(length=200), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    # ### end Alembic commands ###


def downgrade() -> None:
    """Removes them."""
    op.drop_table("tasks")
    op.drop_index("rollouts_by_verdict", table_name="rollouts")
    op.drop_index("rollouts_by_time", table_name="rollouts")
    op.drop_index("rollouts_by_task", table_name="rollouts")
    op.drop_index("rollouts_by_status", table_name="rollouts")
    op.drop_index("rollouts_by_source", table_name="rollouts")
    op.drop_index("rollouts_by_side", table_name="rollouts")
    op.drop_index("rollouts_by_run", table_name="rollouts")
    op.drop_index("rollouts_by_reward", table_name="rollouts")
    op.drop_index("rollouts_by_model_and_verdict", table_name="rollouts")
    op.drop_index("rollouts_by_model", table_name="rollouts")
    op.drop_index("rollouts_by_job", table_name="rollouts")
    op.drop_index("rollouts_by_failure", table_name="rollouts")
    op.drop_table("rollouts")
    op.drop_index(op.f("ix_judgments_rollout_id"), table_name="judgments")
    op.drop_table("judgments")
    op.drop_table("indexed_stages")
    op.drop_index(op.f("ix_events_rollout_id"), table_name="events")
    op.drop_table("events")
    op.drop_table("audit")
    # ### end Alembic commands ###
