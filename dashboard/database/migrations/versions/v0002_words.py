"""Full-text search: SQLite's FTS5 over the rollouts' texts, kept in step by triggers. For PostgreSQL see 0004."""

from alembic import op

revision = "0002"
down_revision = "0001"

COLUMNS = ("task_id", "goal", "answer", "error")
NAMES = ", ".join(COLUMNS)
OLD = ", ".join(f"old.{name}" for name in COLUMNS)
NEW = ", ".join(f"new.{name}" for name in COLUMNS)
REMOVE = f"INSERT INTO rollout_words(rollout_words, rowid, {NAMES}) VALUES ('delete', old.number, {OLD});"
ADD = f"INSERT INTO rollout_words(rowid, {NAMES}) VALUES (new.number, {NEW});"


def upgrade() -> None:
    """Makes the search table and fills it."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute(
        f"CREATE VIRTUAL TABLE rollout_words USING fts5({NAMES}, content='rollouts', content_rowid='number', "
        "tokenize='unicode61')"
    )
    op.execute(f"CREATE TRIGGER rollout_words_added AFTER INSERT ON rollouts BEGIN {ADD} END")
    op.execute(f"CREATE TRIGGER rollout_words_removed AFTER DELETE ON rollouts BEGIN {REMOVE} END")
    op.execute(f"CREATE TRIGGER rollout_words_changed AFTER UPDATE OF {NAMES} ON rollouts BEGIN {REMOVE} {ADD} END")
    op.execute("INSERT INTO rollout_words(rollout_words) VALUES ('rebuild')")


def downgrade() -> None:
    """Removes the search table."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("added", "removed", "changed"):
            op.execute(f"DROP TRIGGER rollout_words_{name}")
        op.execute("DROP TABLE rollout_words")
