"""The routes on one live lease, at its instance: act, renew, release. The old wire format is in `omniboxes.py`."""

from fastapi import APIRouter, Request, Response

from browser_service.errors import BadRequest, BrowserServiceError, LeaseNotFound
from browser_service.models import Lease, StepReply, StepRequest
from browser_service.models.tiers import Done, LeaseReference, ReleaseRequest
from browser_service.tiers.service import service_of

router = APIRouter(tags=["lease"])


@router.post("/step", responses={200: {"model": StepReply}}, response_model=None)
async def step(request: Request, body: StepRequest) -> Response:
    """Acts, settles and observes in one round trip. A repeated `step_id` gets the stored reply and never acts twice."""
    reply = await service_of(request).sessions.step(body)
    return Response(reply.model_dump_json(), media_type="application/json")


@router.post("/renew")
async def renew(request: Request, body: LeaseReference) -> Lease:
    """Keeps a lease alive without using it."""
    return await service_of(request).sessions.renew(body.instance_id, body.token)


@router.post("/release")
async def release(request: Request, body: ReleaseRequest) -> Done:
    """Ends a lease. May be repeated."""
    service = service_of(request)
    if body.instance_id is not None:
        await service.sessions.release(body.instance_id, body.token)
    elif body.idempotency_key is not None:
        await service.admission.abandon(body.idempotency_key)
    else:
        raise BadRequest("say which lease: instance_id, or idempotency_key")
    return Done()


@router.post("/reset")
async def reset(request: Request, instance_id: str, node: str | None = None, token: str | None = None) -> Done:
    """Ends a lease, under the old name. Old clients take "not found" for a lease that was released already."""
    sessions = service_of(request).sessions
    sessions.check_node(node)
    try:
        sessions.check(instance_id, token)
    except BrowserServiceError as error:
        if not isinstance(error, LeaseNotFound) and error.session_state != "lost":
            raise
        raise LeaseNotFound(f"Instance not in use or already released: {error.detail}") from None
    await sessions.release(instance_id, token)
    return Done()
