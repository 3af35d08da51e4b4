"""Dependencies of the routes: the open service, and the user of a request."""

from typing import NamedTuple

from fastapi import Request

from dashboard.access.access import LOCAL, Person
from dashboard.database.opening import Database
from dashboard.settings import Settings
from dashboard.store import RunsDir
from dashboard.worker.config import PlayConfig


class Service(NamedTuple):
    """The parts that the routes share."""

    settings: Settings
    config: PlayConfig
    database: Database
    runs: RunsDir


def person(request: Request) -> Person:
    """The person who asks: of a token or a session, or `local` on loopback without log-in."""
    return request.scope.get("dashboard.who", LOCAL)


def who(request: Request) -> str:
    """Name of the person who asks, for the audit log."""
    return person(request).name
