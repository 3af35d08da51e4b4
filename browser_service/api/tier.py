"""The routes between the tiers. All are below /tier/, where the gate requires the tier key.

The parts of a service are upgraded one after the other, so unknown fields are ignored here.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, TypeAdapter

from browser_service.leasing.leases import Grant, InstanceReport
from browser_service.models import Lease
from browser_service.models.tiers import Done, EndRequest, InstanceStatus
from browser_service.tiers.service import service_of

instance_router = APIRouter(prefix="/tier", tags=["between tiers"])
front_router = APIRouter(prefix="/tier", tags=["between tiers"])


def _from_another_version(kind: Any) -> BeforeValidator:
    adapter = TypeAdapter[Any](kind)
    return BeforeValidator(lambda body: adapter.validate_python(body, extra="ignore"))


@instance_router.post("/admit")
async def admit(request: Request, grant: Annotated[Grant, _from_another_version(Grant)]) -> Lease:
    """Opens a browser for a grant. A repeated grant gets the same one."""
    return await service_of(request).sessions.admit(grant)


@instance_router.post("/end")
async def end(request: Request, body: Annotated[EndRequest, _from_another_version(EndRequest)]) -> Done:
    """Ends a lease; a lease that is over is no error."""
    await service_of(request).sessions.end(body.lease_id)
    return Done()


@instance_router.get("/status")
async def status(request: Request) -> InstanceStatus:
    """Browser version and live leases."""
    return await service_of(request).sessions.instance_status()


@instance_router.post("/drain")
@front_router.post("/drain")
async def drain(request: Request) -> Done:
    """Stops grants and admissions here. A node forwards it to its instances, also to those that start later."""
    await service_of(request).drain_alone(True)
    return Done()


@instance_router.post("/undrain")
@front_router.post("/undrain")
async def undrain(request: Request) -> Done:
    """Allows admissions again."""
    await service_of(request).drain_alone(False)
    return Done()


@front_router.post("/report")
async def report(
    request: Request, reports: Annotated[list[InstanceReport], _from_another_version(list[InstanceReport])]
) -> Done:
    """Takes the reports of instances on their leases."""
    learn = service_of(request).learn
    assert learn is not None, "only fronts have this route"
    await learn(reports)
    return Done()
