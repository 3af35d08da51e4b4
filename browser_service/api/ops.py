"""The routes for operators, the same at every tier: health checks, live leases, drain, end by force."""

from fastapi import APIRouter, Request, Response

from browser_service.errors import BadRequest, LeaseNotFound
from browser_service.leasing.leases import lease_id_of
from browser_service.models import PoolStatus, SessionStatus
from browser_service.models.tiers import Done, Readiness, Sessions
from browser_service.tiers.service import service_of

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> Done:
    """Liveness check: the process answers."""
    return Done()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response) -> Readiness:
    """503 while no lease can be given out: no browser, no lease store, draining, or just started."""
    is_ready = await service_of(request).is_ready()
    response.status_code = 200 if is_ready else 503
    return Readiness(ready=is_ready)


@router.get("/giving", responses={404: {"model": Readiness}})
async def giving(request: Request, response: Response) -> Readiness:
    """As /readyz, for nginx: 404 instead of 503, because nginx takes any other error status for a dead process."""
    is_ready = await service_of(request).is_ready()
    response.status_code = 200 if is_ready else 404
    return Readiness(ready=is_ready)


@router.get("/info")
async def info(request: Request) -> PoolStatus:
    """Capacity, leases, queue, browser version."""
    return await service_of(request).tier.status()


@router.get("/sessions")
async def sessions(request: Request) -> Sessions:
    """Every live lease, without its secret."""
    return Sessions(sessions=await service_of(request).tier.sessions())


@router.get("/sessions/{instance_id}")
async def session(request: Request, instance_id: str) -> SessionStatus:
    """One live lease."""
    lease_id = lease_id_of(instance_id)
    for found in await service_of(request).tier.sessions():
        if lease_id_of(found.instance_id) == lease_id:
            return found
    raise LeaseNotFound(f"instance not found: there is no lease {lease_id[:80]}")


@router.delete("/sessions/{instance_id}")
async def end_session(request: Request, instance_id: str) -> Done:
    """Ends a lease, whoever holds it; no token is needed."""
    await service_of(request).tier.end_by_force(instance_id)
    return Done()


@router.post("/drain")
async def drain(request: Request, node: str | None = None, master: str | None = None) -> Done:
    """Stops new leases of the whole service, or of the named node or master; live leases go on."""
    await service_of(request).drain(_part(node, master))
    return Done()


@router.post("/undrain")
async def undrain(request: Request, node: str | None = None, master: str | None = None) -> Done:
    """Allows new leases again."""
    await service_of(request).undrain(_part(node, master))
    return Done()


def _part(node: str | None, master: str | None) -> str | None:
    if node is not None and master is not None:
        raise BadRequest("expected a node or a master to drain, found both; drain one after the other")
    return node if master is None else master
