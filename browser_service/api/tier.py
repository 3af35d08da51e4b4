"""The routes between the tiers. All are below /tier/, where the gate wants the tier key.

The parts of a service are upgraded one after the other, so fields that are unknown here are ignored.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, TypeAdapter

from browser_service.leasing.leases import Grant, PlaceReport
from browser_service.models import Lease
from browser_service.models.tiers import Done, EndRequest, PlaceStatus
from browser_service.tiers.service import service_of

instance_router = APIRouter(prefix="/tier", tags=["between tiers"])
front_router = APIRouter(prefix="/tier", tags=["between tiers"])


def _from_another_version(kind: Any) -> BeforeValidator:
    adapter = TypeAdapter[Any](kind)
    return BeforeValidator(lambda told: adapter.validate_python(told, extra="ignore"))


@instance_router.post("/admit")
async def admit(request: Request, grant: Annotated[Grant, _from_another_version(Grant)]) -> Lease:
    """A browser for a grant. The same grant again gets the same one."""
    return await service_of(request).sessions.admit(grant)


@instance_router.post("/end")
async def end(request: Request, body: Annotated[EndRequest, _from_another_version(EndRequest)]) -> Done:
    """Ends a lease; one that is over is fine."""
    await service_of(request).sessions.end(body.lease_id)
    return Done()


@instance_router.get("/status")
async def status(request: Request) -> PlaceStatus:
    """Browser and live leases."""
    return await service_of(request).sessions.place_status()


@instance_router.post("/drain")
@front_router.post("/drain")
async def drain(request: Request) -> Done:
    """Gives out or admits nothing here from now on. A node passes it on to its instances, those included that are yet to start."""
    await service_of(request).drain_alone(True)
    return Done()


@instance_router.post("/undrain")
@front_router.post("/undrain")
async def undrain(request: Request) -> Done:
    """Admits again."""
    await service_of(request).drain_alone(False)
    return Done()


@front_router.post("/report")
async def report(
    request: Request, reports: Annotated[list[PlaceReport], _from_another_version(list[PlaceReport])]
) -> Done:
    """What places hold, in their own words."""
    learn = service_of(request).learn
    assert learn is not None, "only fronts have this route"
    await learn(reports)
    return Done()
