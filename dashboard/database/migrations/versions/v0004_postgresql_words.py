"""Full-text search on PostgreSQL: a column that it keeps itself, with the words of a rollout's texts. SQLite has FTS5 (0002)."""

from alembic import op

revision = "0004"
down_revision = "0003"

LONGEST = 50_000
"""Characters of each text that are searched: PostgreSQL refuses a row whose words are larger than a megabyte."""
TEXTS = " || ' ' || ".join(f"left(coalesce({name}, ''), {LONGEST})" for name in ("task_id", "goal", "answer", "error"))
# Its own parser takes "task-7", "shop.test" and "/a/b" for words; a search finds their parts.
WORDS = f"to_tsvector('simple', regexp_replace({TEXTS}, '[!-/:-@[-`{{-~]+', ' ', 'g'))"


def upgrade() -> None:
    """Adds the column and its index."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE rollouts ADD COLUMN words tsvector GENERATED ALWAYS AS ({WORDS}) STORED")
        op.execute("CREATE INDEX rollouts_by_words ON rollouts USING gin (words)")


def downgrade() -> None:
    """Removes them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE rollouts DROP COLUMN words")
