"""The routes that give out leases, one or a group's, on the tier in front (master, node or single process)."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from browser_service.errors import BadRequest, BrowserServiceError, MasterStopping, NoCapacity
from browser_service.models import Batch, BatchRequest, Lease, LeaseRequest
from browser_service.models.tiers import OldLease
from browser_service.tiers.service import service_of

router = APIRouter(tags=["admission"])

OLD_WAIT_S = 60.0
"""Seconds that /get of an old client, which knows no queue, is held before it gets the no-capacity error."""
OLD_LONGEST_MINS = 24 * 60
NO_CAPACITY = "No available nodes with capacity to create new instance"
"""Old clients retry when they find this sentence. Any other ends their task."""


Key = Annotated[str | None, Header(alias="x-idempotency-key", max_length=100)]
"""Set by nginx: the same for every master that it tries for one call. Used if the client sends no key."""


@router.post("/get", responses={200: {"model": Lease | OldLease}}, response_model=None)
async def get(
    request: Request, body: LeaseRequest | None = None, lifetime_mins: float = 60.0, key: Key = None
) -> Response:
    """A lease. With a JSON body: the whole `Lease`. Without: `{"instance_id", "node"}`, as old clients expect."""
    service = service_of(request)
    if body is not None:
        lease = await service.admission.lease(_keyed(body, key), is_gone=request.is_disconnected)
        return Response(lease.model_dump_json(), media_type="application/json")
    if not 0 < lifetime_mins <= OLD_LONGEST_MINS:
        raise BadRequest(f"lifetime_mins is {lifetime_mins:g}: it must be more than 0 and at most {OLD_LONGEST_MINS}")
    life_s = lifetime_mins * 60
    wanted = LeaseRequest(
        owner="omniboxes client",
        ttl_s=min(life_s, 3_600),
        max_lifetime_s=life_s,
        wait_s=OLD_WAIT_S,
        viewport=service.settings.viewport,
    )
    try:
        lease = await service.admission.lease(_keyed(wanted, key), needs_token=False, is_gone=request.is_disconnected)
    except BrowserServiceError as error:
        if error.fault != "infra" or (key and isinstance(error, MasterStopping)):
            raise  # the client retries the key at another master
        raise NoCapacity(NO_CAPACITY, retry_after_s=error.retry_after_s) from error
    old = OldLease(instance_id=lease.instance_id, node=lease.node)
    return Response(old.model_dump_json(), media_type="application/json")


@router.post("/batch_get")
async def batch_get(request: Request, body: BatchRequest, key: Key = None) -> Batch:
    """All leases of a group or none: no two groups block each other by each holding a half."""
    wanted = body.model_copy(update={"lease": _keyed(body.lease, key)})
    return await service_of(request).admission.batch(wanted, is_gone=request.is_disconnected)


def _keyed(wanted: LeaseRequest, key: str | None) -> LeaseRequest:
    return wanted.model_copy(update={"idempotency_key": key}) if key and not wanted.idempotency_key else wanted
