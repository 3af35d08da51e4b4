"""Search for words in the texts of rollouts: SQLite's FTS5 or PostgreSQL's `tsvector`, whose tables the migrations make."""

import re

from sqlalchemy import ColumnElement, Integer, false, func, literal_column, select, table
from sqlalchemy.orm import Session

from dashboard.database.tables import RolloutRow

COUNTED = 10_000
"""Matches of a search beyond which they are not counted."""
MOST_WORDS = 8
WORD = re.compile(r"[^\W_]+")
"""Words as the text indexes have them."""


def has_words(session: Session, text: str) -> ColumnElement[bool]:
    """Condition on rollouts: each of the first `MOST_WORDS` words of the text begins a word of task id, goal, answer or error."""
    words = WORD.findall(text)[:MOST_WORDS]
    if not words:
        return false()
    if session.get_bind().dialect.name != "sqlite":
        query = " & ".join(f"{word}:*" for word in words)
        return literal_column("rollouts.words").op("@@")(func.to_tsquery("simple", query))
    # Quoted, so that no character of a search is syntax of the index.
    match = " ".join(f'"{word}"*' for word in words)
    found = select(literal_column("rowid", Integer)).select_from(table("rollout_words"))
    found = found.where(literal_column("rollout_words").op("MATCH")(match))
    # SQLite would read and sort every match of a common word. The unary plus keeps it from doing so: it goes through an
    # index of the other conditions, newest first, and stops when the page is full.
    common = session.scalar(select(func.count()).select_from(found.limit(COUNTED).subquery())) == COUNTED
    number = literal_column("+rollouts.number", Integer) if common else RolloutRow.number
    return number.in_(found)
