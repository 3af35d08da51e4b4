"""Runs inside the application: the host name of a request says which database it is about."""

import os
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

HOST = re.compile(r"(e[0-9a-f]{16})\.localhost(?::\d+)?")
DATABASE: ContextVar[str] = ContextVar("DATABASE", default="")


def database() -> str:
    """Database of the current request; for a command line that of the variable RL_LOOP_DATABASE."""
    return DATABASE.get() or os.environ.get("RL_LOOP_DATABASE", "no-episode")


class Tenants:
    """WSGI middleware that sets the database. A host that is no episode's gets 404; the health check needs none."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serves a request."""
        found = HOST.fullmatch(environ.get("HTTP_HOST", ""))
        if found is None:
            is_health = environ.get("PATH_INFO") == "/healthz"
            start_response("200 OK" if is_health else "404 Not Found", [("Content-Type", "text/plain")])
            return [b"ok" if is_health else b"no such episode"]
        token = DATABASE.set(found[1])
        try:
            body = self.application(environ, start_response)
            try:
                return list(body)
            finally:
                if (close := getattr(body, "close", None)) is not None:
                    close()  # Django closes the request's connection here, while the database is still known
        finally:
            DATABASE.reset(token)


def cache_key(key: str, prefix: str, version: int) -> str:
    """Key of a Django cache that episodes do not share."""
    return f"{database()}:{prefix}:{version}:{key}"


def follow_tenants() -> None:
    """Makes Django's Postgres connections go to the request's database."""
    from django.db.backends.postgresql.base import DatabaseWrapper

    original = DatabaseWrapper.get_connection_params

    def parameters(self: Any) -> dict[str, Any]:
        found = original(self)
        found["dbname"] = database()
        return found

    DatabaseWrapper.get_connection_params = parameters
