"""Routes for people's log-in: the token in, a cookie out that scripts can't read and other sites can't send."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.access import COOKIE, SESSION_S, Access
from dashboard.api.problems import Problem
from dashboard.api.service import who
from dashboard.views import View

WRONG_S = 0.5
"""Delay of the answer to a wrong token."""


class Login(BaseModel):
    """A request to log in."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    token: Annotated[str, Field(max_length=500)]


class Me(View):
    """The user who is logged in."""

    name: str
    needs_login: bool


def login_router(access: Access) -> APIRouter:
    """Routes below /api that need no log-in, and the one that tells who is logged in."""
    router = APIRouter(prefix="/api", tags=["access"])

    @router.post("/login")
    async def login(request: Request, response: Response, asked: Login) -> Me:
        """Logs in."""
        name = access.of_secret(asked.token)
        if name is None:
            await asyncio.sleep(WRONG_S)
            raise Problem(401, "wrong_token", "this is no token of the dashboard; ask the person who runs it")
        secure = request.url.scheme == "https"
        cookie = access.session(name)
        response.set_cookie(COOKIE, cookie, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure)
        return Me(name=name, needs_login=True)

    @router.post("/logout")
    def logout(response: Response) -> Me:
        """Logs out."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return Me(name="", needs_login=access.needs_login)

    @router.get("/me")
    def me(request: Request) -> Me:
        """Returns who asks."""
        return Me(name=who(request), needs_login=access.needs_login)

    return router
