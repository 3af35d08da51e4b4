"""Authentication of requests: tokens in a header for programs, a session's cookie for browsers after log-in.

Persons are users of the database, or names of DASHBOARD_TOKENS, who are admins. Without any, everybody who can reach the
server may ask, as the admin `local`; off loopback the server does not start like that.
"""

import asyncio
import hmac
import time
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from dashboard.access import passwords, people
from dashboard.access.roles import Role
from dashboard.database.opening import Database
from dashboard.database.tables import UserRow

COOKIE = "dashboard_session"
SESSION_S = 7 * 24 * 3_600
FRESH_S = 1.0
"""Seconds for which an answer of the database is used again: a removed user or session ends within them."""
MOST_REMEMBERED = 1_000
WRONG_AT_MOST, WRONG_WINDOW_S = 10, 300.0
"""Wrong passwords of one name after which that name has to wait."""


class Person(NamedTuple):
    """The person of a request."""

    name: str
    role: Role


LOCAL = Person("local", "admin")


class TooManyTries(Exception):
    """Too many wrong passwords of one name; it has to wait."""


class Access:
    """Answers who asks. `always`: people must log in even while there is no person, as on other addresses than loopback."""

    def __init__(self, tokens: Mapping[str, str], database: Database | None = None, *, always: bool = False) -> None:
        self._tokens = dict(tokens)
        self._database = database
        self._always = always
        self._has_users: bool | None = None
        self._asked_at = -FRESH_S
        self._known: dict[tuple[str, str], tuple[float, Person]] = {}
        self._wrong: dict[str, list[float]] = {}

    async def needs_login(self) -> bool:
        """True if people must log in; while the database does not answer, what was known before, at first True."""
        if self._always or self._tokens or self._database is None:
            return self._always or bool(self._tokens)
        if self._has_users is None or time.monotonic() - self._asked_at > FRESH_S:
            with suppress(SQLAlchemyError):
                self._has_users = await asyncio.to_thread(self._any_user, self._database)
                self._asked_at = time.monotonic()
        return self._has_users is not False

    async def who(self, headers: Mapping[bytes, bytes]) -> Person | None:
        """The person of a request's headers; None: nobody that may ask. Raises SQLAlchemy's errors."""
        if not await self.needs_login():
            return LOCAL
        kind, secret = _secret_of(headers)
        at, person = self._known.get((kind, secret), (0.0, None))
        if person is not None and time.monotonic() - at < FRESH_S:
            return person
        return await asyncio.to_thread(self._look_up, kind, secret)

    def log_in(self, secret: str) -> tuple[Person, str] | None:
        """The person of a token and the secret of a new session; None for a wrong token."""
        if (person := self._of_token(secret)) is None:
            return None
        return person, self._begin(person, label=people.digest(secret) if person.name in self._tokens else "")

    def log_in_with_password(self, name: str, password: str) -> tuple[Person, str] | None:
        """As `log_in`, with a password. A wrong one takes as long for an unknown name. Raises `TooManyTries`."""
        if not self.knows(name, password) or self._database is None:
            return None
        with self._database.read() as session:
            role = people.role_of(session, name)
        if role is None:
            return None
        person = Person(name, role)
        return person, self._begin(person, label="")

    def knows(self, name: str, password: str) -> bool:
        """True if this is a user's password. Raises `TooManyTries` after too many wrong ones of this name."""
        if self._database is None:
            return False
        self._check_tries(name)
        with self._database.read() as session:
            row = session.get(UserRow, name)
            stored = "" if row is None else row.password
        if passwords.is_right(password, stored):
            self._wrong.pop(name, None)
            return True
        self._wrong.setdefault(name, []).append(time.monotonic())
        return False

    def log_out(self, headers: Mapping[bytes, bytes]) -> None:
        """Ends the session of a request, if it has one."""
        kind, secret = _secret_of(headers)
        if kind == "session" and self._database is not None:
            with self._database.write() as session:
                people.end_session(session, secret)
        self.forget()

    def forget(self) -> None:
        """Asks the database anew from now on: users have changed."""
        self._known.clear()
        self._asked_at = -FRESH_S

    def _look_up(self, kind: str, secret: str) -> Person | None:
        person = self._of_token(secret) if kind == "token" else self._of_session(secret)
        if person is not None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[kind, secret] = (time.monotonic(), person)
        return person

    @staticmethod
    def _any_user(database: Database) -> bool:
        with database.read() as session:
            return people.has_users(session)

    def _of_token(self, secret: str) -> Person | None:
        """Takes the same time for every wrong secret."""
        found = None
        for name, known in self._tokens.items():
            if hmac.compare_digest(people.digest(known), people.digest(secret)):
                found = Person(name, "admin")
        if found is not None or self._database is None:
            return found
        with self._database.read() as session:
            row = people.credential(session, secret, "token")
            role = None if row is None else people.role_of(session, row.person)
            return None if row is None or role is None else Person(row.person, role)

    def _of_session(self, secret: str) -> Person | None:
        if not secret or self._database is None:
            return None
        with self._database.read() as session:
            if (row := people.credential(session, secret, "session")) is None:
                return None
            if row.label:  # begun with a secret of DASHBOARD_TOKENS: a changed or removed secret ends it
                known = self._tokens.get(row.person)
                return Person(row.person, "admin") if known and people.digest(known) == row.label else None
            role = people.role_of(session, row.person)
            return None if role is None else Person(row.person, role)

    def _begin(self, person: Person, label: str) -> str:
        if self._database is None:
            raise RuntimeError("sessions need a database")
        with self._database.write() as session:
            return people.new_session(session, person.name, SESSION_S, label=label)

    def _check_tries(self, name: str) -> None:
        since = time.monotonic() - WRONG_WINDOW_S
        self._wrong = {one: kept for one, tries in self._wrong.items() if (kept := [at for at in tries if at > since])}
        if len(self._wrong.get(name, ())) >= WRONG_AT_MOST:
            raise TooManyTries


def _secret_of(headers: Mapping[bytes, bytes]) -> tuple[str, str]:
    """The kind and the secret of a request's credential; an Authorization header goes before the cookie."""
    scheme, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return "token", secret.strip()
    try:
        morsel = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        morsel = None
    return "session", morsel.value if morsel else ""
