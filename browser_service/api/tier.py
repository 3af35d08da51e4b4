"""The routes between the tiers. All are below /tier/, where the gate wants the tier key."""

from fastapi import APIRouter, Request

from browser_service.leasing.leases import Grant, PlaceReport
from browser_service.models import Lease
from browser_service.models.tiers import Done, EndRequest, PlaceStatus
from browser_service.tiers.service import service_of

instance_router = APIRouter(prefix="/tier", tags=["between tiers"])
front_router = APIRouter(prefix="/tier", tags=["between tiers"])


@instance_router.post("/admit")
async def admit(request: Request, grant: Grant) -> Lease:
    """A browser for a grant. The same grant again gets the same one."""
    return await service_of(request).sessions.admit(grant)


@instance_router.post("/end")
async def end(request: Request, body: EndRequest) -> Done:
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
async def report(request: Request, reports: list[PlaceReport]) -> Done:
    """What places hold, in their own words."""
    learn = service_of(request).learn
    assert learn is not None, "only fronts have this route"
    await learn(reports)
    return Done()
