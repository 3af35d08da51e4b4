"""The users in the database, with their sessions and API tokens. Of a secret only its SHA-256 is stored.

A secret has 256 random bits, so a fast hash is enough; passwords, which people choose, have a slow one (`passwords.py`).
"""

import hashlib
import re
import secrets
import time
from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dashboard.access.passwords import hashed
from dashboard.access.roles import ROLES, Role
from dashboard.database.tables import CredentialRow, UserRow

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = frozenset({"local", "nobody"})
"""Names that the audit log has for people without a user."""
TOKEN_PREFIX = "rll_"
"""Scanners for leaked secrets look for prefixes."""
MOST_TOKENS = 50
"""API tokens of one user."""


class PeopleProblem(ValueError):
    """A change of users that is not possible. The message is one sentence."""


class NoUser(PeopleProblem):
    """There is no user of this name."""


def all_users(session: Session) -> list[UserRow]:
    """The users by name."""
    return list(session.scalars(select(UserRow).order_by(UserRow.name)))


def has_users(session: Session) -> bool:
    """True if there is a user: then everybody logs in."""
    return session.scalars(select(UserRow.name).limit(1)).first() is not None


def user_named(session: Session, name: str) -> UserRow:
    """The user of a name. Raises `NoUser`."""
    if (row := session.get(UserRow, name)) is None:
        raise NoUser(f"there is no user {name[:80]!r}")
    return row


def add_user(session: Session, name: str, role: Role, password: str | None) -> UserRow:
    """Adds a user; without a password: one that has API tokens only. Raises `PeopleProblem` and `passwords.BadPassword`."""
    if not NAME.fullmatch(name) or name.casefold() in RESERVED:
        raise PeopleProblem(
            f"a name begins with a letter or digit and has at most 64 letters, digits, '.', '_' or '-'; found {name[:80]!r}"
        )
    if session.scalars(select(UserRow.name).where(func.lower(UserRow.name) == name.lower())).first() is not None:
        raise PeopleProblem(f"there is a user {name} already")
    if role != "admin" and not _other_admins(session, name):
        raise PeopleProblem("the first user must be an admin, otherwise nobody could add others")
    if role == "admin" and password is None:
        raise PeopleProblem("an admin needs a password")
    row = UserRow(
        name=name, role=role, password="" if password is None else hashed(password, name), created_at=time.time()
    )
    session.add(row)
    session.flush()
    return row


def remove_user(session: Session, name: str) -> None:
    """Removes a user with all sessions and tokens. Raises `PeopleProblem` for the last admin, unless nobody else is left."""
    row = user_named(session, name)
    others = session.scalar(select(func.count()).select_from(UserRow).where(UserRow.name != name)) or 0
    if row.role == "admin" and others and not _other_admins(session, name):
        raise PeopleProblem(f"{name} is the last admin; make somebody else an admin first")
    session.execute(delete(CredentialRow).where(CredentialRow.person == name))
    session.delete(row)


def change_role(session: Session, name: str, role: Role) -> None:
    """Changes a user's role. Raises `PeopleProblem` for the last admin."""
    row = user_named(session, name)
    if row.role == "admin" and role != "admin" and not _other_admins(session, name):
        raise PeopleProblem(f"{name} is the last admin; make somebody else an admin first")
    row.role = role


def change_password(session: Session, name: str, password: str) -> None:
    """Sets a user's password and ends all sessions of the user. Raises `PeopleProblem` and `passwords.BadPassword`."""
    user_named(session, name).password = hashed(password, name)
    session.execute(delete(CredentialRow).where(CredentialRow.person == name, CredentialRow.kind == "session"))


def new_session(session: Session, person: str, seconds: float, *, label: str = "") -> str:
    """Begins a session and returns its secret; expired ones are removed."""
    session.execute(delete(CredentialRow).where(CredentialRow.expires_at < time.time()))
    return _new(session, person, "session", label, time.time() + seconds)


def new_token(session: Session, person: str, label: str, days: int | None) -> str:
    """Makes an API token and returns its secret, which is not stored. Raises `PeopleProblem`."""
    user_named(session, person)
    if len(tokens_of(session, person)) >= MOST_TOKENS:
        raise PeopleProblem(f"a user has at most {MOST_TOKENS} tokens; revoke one first")
    return _new(session, person, "token", label, None if days is None else time.time() + days * 86_400)


def tokens_of(session: Session, person: str) -> Sequence[CredentialRow]:
    """The API tokens of a user, newest first."""
    mine = select(CredentialRow).where(CredentialRow.person == person, CredentialRow.kind == "token")
    return session.scalars(mine.order_by(CredentialRow.number.desc())).all()


def revoke(session: Session, person: str, number: int) -> str:
    """Removes an API token of a user and returns its label. Raises `PeopleProblem`."""
    row = session.get(CredentialRow, number)
    if row is None or (row.person, row.kind) != (person, "token"):
        raise PeopleProblem("you have no such token")
    session.delete(row)
    return row.label


def credential(session: Session, secret: str, kind: str) -> CredentialRow | None:
    """The session or token of a secret; None if there is none, or its time is over."""
    found = select(CredentialRow).where(CredentialRow.digest == digest(secret), CredentialRow.kind == kind)
    row = session.scalars(found).one_or_none()
    return row if row is not None and (row.expires_at is None or row.expires_at > time.time()) else None


def end_session(session: Session, secret: str) -> None:
    """Ends the session of a secret, if there is one."""
    session.execute(
        delete(CredentialRow).where(CredentialRow.digest == digest(secret), CredentialRow.kind == "session")
    )


def role_of(session: Session, name: str) -> Role | None:
    """A user's role; None: there is no such user."""
    found = session.scalar(select(UserRow.role).where(UserRow.name == name))
    return next((role for role in ROLES if role == found), None)


def digest(secret: str) -> str:
    """SHA-256 of a secret, in hex."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _new(session: Session, person: str, kind: str, label: str, expires_at: float | None) -> str:
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = CredentialRow(digest=digest(secret), person=person, kind=kind, label=label, created_at=time.time())
    row.expires_at = expires_at
    session.add(row)
    return secret


def _other_admins(session: Session, name: str) -> bool:
    admins = select(UserRow.name).where(UserRow.role == "admin", UserRow.name != name)
    return session.scalars(admins.limit(1)).first() is not None
