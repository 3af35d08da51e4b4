"""Routes about saved views: filters of the rollouts that people gave names."""

import time
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, select

from dashboard.api.problems import Problem
from dashboard.api.service import Service, who
from dashboard.database.pages import RolloutFilter
from dashboard.database.states import cut
from dashboard.database.tables import SavedViewRow
from dashboard.views import View

MOST = 200


class NewView(BaseModel):
    """A filter with a name. An earlier view of this name is replaced."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
    query: Annotated[str, Field(max_length=2_000)]
    """As the query of an address. Example: `status=failed&model=policy`."""


class SavedView(View):
    """A saved view."""

    number: int
    name: str
    query: str
    who: str


def saved_router(service: Service) -> APIRouter:
    """Routes below /api/views. Everybody sees all views; the gate lets runners change them."""
    router = APIRouter(prefix="/api/views", tags=["rollouts"])

    @router.get("")
    def views() -> list[SavedView]:
        """Returns the saved views by name."""
        return _all(service)

    @router.post("")
    def save(request: Request, asked: NewView) -> list[SavedView]:
        """Saves a view under its name."""
        unknown = [name for name, _ in parse_qsl(asked.query) if name not in RolloutFilter._fields]
        if unknown:
            raise Problem(422, "invalid_request", f"query: {unknown[0][:80]!r} is no filter of rollouts")
        name = cut(asked.name.strip())
        with service.database.write() as session:
            session.execute(delete(SavedViewRow).where(SavedViewRow.name == name))
            if (session.scalar(select(func.count()).select_from(SavedViewRow)) or 0) >= MOST:
                raise Problem(409, "too_many_views", f"there are {MOST} saved views; delete one first")
            session.add(SavedViewRow(name=name, query=cut(asked.query), who=who(request), created_at=time.time()))
        return _all(service)

    @router.delete("/{number}")
    def remove(number: int) -> list[SavedView]:
        """Deletes a view; one that is gone already is no error."""
        with service.database.write() as session:
            session.execute(delete(SavedViewRow).where(SavedViewRow.number == number))
        return _all(service)

    return router


def _all(service: Service) -> list[SavedView]:
    with service.database.read() as session:
        rows = session.scalars(select(SavedViewRow).order_by(SavedViewRow.name))
        return [SavedView.model_validate({k: getattr(row, k) for k in SavedView.model_fields}) for row in rows]
