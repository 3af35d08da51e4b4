"""Alembic runs this for each command: it migrates over the connection that `opening.py` hands to it."""

from alembic import context

from dashboard.database.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
