"""Routes for log-in, and for what each person may change: the own password and API tokens.

A log-in takes a token or a name with a password, and sets a cookie that scripts can't read and other sites can't send.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.access import people
from dashboard.access.access import COOKIE, SESSION_S, Access, Person, TooManyTries
from dashboard.access.roles import Role
from dashboard.api.models import iso
from dashboard.api.problems import Problem
from dashboard.api.service import Service, person, who
from dashboard.database.states import audit
from dashboard.database.tables import CredentialRow
from dashboard.views import View

WRONG_S = 0.5
"""Delay of the answer to a wrong token or password."""
Password = Annotated[str, Field(max_length=500)]


class Login(BaseModel):
    """A request to log in: with a token, or with a name and its password."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    token: Password = ""
    name: Annotated[str, Field(max_length=100)] = ""
    password: Password = ""


class NewPassword(BaseModel):
    """A request to change one's own password."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    old: Password
    new: Password


class NewToken(BaseModel):
    """A request for an API token. `days` None: it does not expire."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    label: Annotated[str, Field(min_length=1, max_length=100)]
    days: Annotated[int | None, Field(ge=1, le=3_650)] = 90


class Me(View):
    """The user who is logged in."""

    name: str
    role: Role
    needs_login: bool
    has_account: bool
    """True for a user of the database, who has a password and tokens to manage."""


class TokenLine(View):
    """An API token, without its secret."""

    number: int
    label: str
    created_at: str
    expires_at: str | None


class MadeToken(TokenLine):
    """A new API token. The secret is told this once."""

    secret: str


def login_router(access: Access, service: Service) -> APIRouter:
    """Routes below /api: log in and out, and /api/me."""
    router = APIRouter(prefix="/api", tags=["access"])
    _add_sessions(router, access)
    _add_account(router, access, service)
    return router


def anyone_router() -> APIRouter:
    """The one route of the viewer alone, where nobody logs in and nothing can be changed."""
    router = APIRouter(prefix="/api", tags=["access"])

    @router.get("/me")
    def me() -> Me:
        """Returns who asks: a reader."""
        return Me(name="local", role="viewer", needs_login=False, has_account=False)

    return router


def _add_sessions(router: APIRouter, access: Access) -> None:
    @router.post("/login")
    async def login(request: Request, response: Response, asked: Login) -> Me:
        """Logs in."""
        try:
            begun = await asyncio.to_thread(_log_in, access, asked)
        except TooManyTries:
            raise Problem(
                429, "too_many_tries", "too many wrong passwords for this name; wait five minutes, or ask an admin"
            ) from None
        if begun is None:
            await asyncio.sleep(WRONG_S)
            if asked.token:
                raise Problem(401, "wrong_token", "this is no token of the dashboard; ask the person who runs it")
            raise Problem(401, "wrong_password", "the name or the password is wrong")
        logged_in, secret = begun
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, secret, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure)
        return Me(name=logged_in.name, role=logged_in.role, needs_login=True, has_account=False)

    @router.post("/logout")
    async def logout(request: Request, response: Response) -> Me:
        """Logs out: the session ends, in every copy of its cookie."""
        await asyncio.to_thread(access.log_out, dict(request.scope["headers"]))
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return Me(name="", role="viewer", needs_login=await access.needs_login(), has_account=False)


def _add_account(router: APIRouter, access: Access, service: Service) -> None:
    @router.get("/me")
    async def me(request: Request) -> Me:
        """Returns who asks."""
        found = person(request)
        account = await asyncio.to_thread(_has_account, service, found.name)
        return Me(name=found.name, role=found.role, needs_login=await access.needs_login(), has_account=account)

    @router.post("/me/password")
    def change_own_password(request: Request, asked: NewPassword) -> Me:
        """Changes one's own password and ends all own sessions."""
        _own(service, request)
        found = person(request)
        try:
            right = access.knows(found.name, asked.old)
        except TooManyTries:
            raise Problem(429, "too_many_tries", "too many wrong passwords for this name; wait five minutes") from None
        if not right:
            raise Problem(403, "wrong_password", "the old password is wrong")
        with service.database.write() as session:
            people.change_password(session, found.name, asked.new)
            audit(session, found.name, "change password", found.name)
        access.forget()
        return Me(name=found.name, role=found.role, needs_login=True, has_account=True)

    @router.get("/me/tokens")
    def own_tokens(request: Request) -> list[TokenLine]:
        """Returns one's own API tokens, newest first."""
        with service.database.read() as session:
            return [TokenLine.model_validate(_line(row)) for row in people.tokens_of(session, who(request))]

    @router.post("/me/tokens")
    def make_token(request: Request, asked: NewToken) -> MadeToken:
        """Makes an API token with one's own role. The answer is the only place with its secret."""
        _own(service, request)
        with service.database.write() as session:
            secret = people.new_token(session, who(request), asked.label, asked.days)
            audit(session, who(request), "make token", who(request), asked.label)
            newest = people.tokens_of(session, who(request))[0]
            return MadeToken.model_validate(_line(newest) | {"secret": secret})

    @router.delete("/me/tokens/{number}")
    def revoke_token(request: Request, number: int) -> list[TokenLine]:
        """Revokes an own API token, and returns those that are left."""
        with service.database.write() as session:
            label = people.revoke(session, who(request), number)
            audit(session, who(request), "revoke token", who(request), label)
            left = [TokenLine.model_validate(_line(row)) for row in people.tokens_of(session, who(request))]
        access.forget()
        return left


def _log_in(access: Access, asked: Login) -> tuple[Person, str] | None:
    return access.log_in(asked.token) if asked.token else access.log_in_with_password(asked.name, asked.password)


def _has_account(service: Service, name: str) -> bool:
    with service.database.read() as session:
        return people.role_of(session, name) is not None


def _own(service: Service, request: Request) -> None:
    """Raises `Problem` for a person who is no user of the database."""
    if not _has_account(service, who(request)):
        raise Problem(409, "no_account", f"{who(request)} has no account here; an admin adds users on the page Users")


def _line(row: CredentialRow) -> dict[str, object]:
    at = {"created_at": iso(row.created_at) or "", "expires_at": iso(row.expires_at)}
    return {"number": row.number, "label": row.label} | at
