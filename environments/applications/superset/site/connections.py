"""Connections of Superset to the database of the current request, whatever address it has stored."""

import os
from collections.abc import Callable
from typing import Any

import psycopg2
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool
from tenants import database

OWNER, ANALYST = "postgres", "analyst"
"""Roles: Superset's own, and the one of charts and SQL Lab, which may read the shop's tables and nothing else."""


def address(role: str) -> str:
    """Address of the database. Superset's migrations use it as it is; elsewhere the creator connects."""
    return f"postgresql+psycopg2://{role}@/{database()}?host={os.environ['RL_LOOP_POSTGRES']}"


def connecting(role: str) -> Callable[[], Any]:
    """Opens a connection to the request's database."""

    def connect() -> Any:
        return psycopg2.connect(host=os.environ["RL_LOOP_POSTGRES"], port=5432, user=role, dbname=database())

    return connect


def engine_options(role: str) -> dict[str, Any]:
    """Options of an engine that serves all episodes: a connection is never kept for the next request."""
    return {"creator": connecting(role), "poolclass": NullPool}


def as_analyst(uri: URL, options: dict[str, Any], user: str, security: Any, source: Any) -> tuple[URL, dict[str, Any]]:
    """Superset's DB_CONNECTION_MUTATOR: every query of a user goes to the episode's database, as the analyst."""
    return make_url(address(ANALYST)), engine_options(ANALYST)
