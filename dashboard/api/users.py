"""Routes about users, for admins: list, add, change, remove."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from dashboard.access import people
from dashboard.access.access import Access
from dashboard.access.roles import Role
from dashboard.api.models import iso
from dashboard.api.service import Service, who
from dashboard.database.states import audit
from dashboard.database.tables import UserRow
from dashboard.views import View

Name = Annotated[str, Field(max_length=100)]
Password = Annotated[str, Field(max_length=500)]


class UserView(View):
    """A user."""

    name: str
    role: Role
    created_at: str
    has_password: bool
    tokens: int
    """Number of API tokens."""


class NewUser(BaseModel):
    """A request for a user. Users with API tokens only are made by `python -m dashboard users add --no-password`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Name
    role: Role = "viewer"
    password: Password


class UserChange(BaseModel):
    """A change of a user; what is None stays."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    role: Role | None = None
    password: Password | None = None


def users_router(access: Access, service: Service) -> APIRouter:
    """Routes below /api/users. The gate asks for the role `admin`."""
    router = APIRouter(prefix="/api/users", tags=["access"])

    @router.get("")
    def users() -> list[UserView]:
        """Returns the users by name."""
        return _all(service)

    @router.post("")
    def add(request: Request, asked: NewUser) -> list[UserView]:
        """Adds a user. With the first one, everybody has to log in."""
        with service.database.write() as session:
            people.add_user(session, asked.name, asked.role, asked.password)
            audit(session, who(request), "add user", asked.name, asked.role)
        access.forget()
        return _all(service)

    @router.patch("/{name}")
    def change(request: Request, name: str, asked: UserChange) -> list[UserView]:
        """Changes a user's role or password; a new password ends the user's sessions."""
        with service.database.write() as session:
            if asked.role is not None:
                people.change_role(session, name, asked.role)
                audit(session, who(request), "change role", name, asked.role)
            if asked.password is not None:
                people.change_password(session, name, asked.password)
                audit(session, who(request), "change password", name)
        access.forget()
        return _all(service)

    @router.delete("/{name}")
    def remove(request: Request, name: str) -> list[UserView]:
        """Removes a user, with all sessions and tokens."""
        with service.database.write() as session:
            people.remove_user(session, name)
            audit(session, who(request), "remove user", name)
        access.forget()
        return _all(service)

    return router


def _all(service: Service) -> list[UserView]:
    with service.database.read() as session:
        return [_view(row, len(people.tokens_of(session, row.name))) for row in people.all_users(session)]


def _view(row: UserRow, tokens: int) -> UserView:
    values = {"name": row.name, "role": row.role, "created_at": iso(row.created_at) or ""}
    return UserView.model_validate(values | {"has_password": bool(row.password), "tokens": tokens})
