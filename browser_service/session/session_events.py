"""The events of a session, for the live view and the metrics."""

from browser_service.errors import BrowserServiceError
from browser_service.events import Events
from browser_service.models import StepReply, StepRequest
from browser_service.session.browser import LeasedBrowser
from browser_service.session.session import Ending, Session
from telemetry.spans import current


def granted(events: Events, session: Session) -> None:
    """A lease got its browser."""
    request = session.grant.request
    events.emit(
        "lease_granted",
        lease_id=session.lease_id,
        owner=request.owner,
        share=request.share,
        slot=session.grant.slot,
        generation=session.grant.generation,
    )


def step(events: Events, session: Session, request: StepRequest, reply: StepReply) -> None:
    """A step was carried out."""
    picture, took = reply.observation.screenshot, reply.timings_ms
    current().set(
        action=request.action.kind,
        act_ms=took.get("act"),
        settle_ms=took.get("settle"),
        observe_ms=took.get("observe"),
    )
    if reply.error is not None:
        current().fail(reply.error.code, reply.error.fault)
    events.emit(
        "step",
        lease_id=session.lease_id,
        step_id=reply.step_id,
        action=request.action.kind,
        error=reply.error.code if reply.error else None,
        timings_ms=reply.timings_ms,
        bytes=len(picture.data) * 3 // 4 if picture and picture.data else 0,
    )


def traffic(events: Events, session: Session, browser: LeasedBrowser) -> None:
    """The traffic of a lease, once at its end."""
    if traffic := browser.traffic:
        events.emit(
            "egress",
            lease_id=session.lease_id,
            sent=traffic.sent_bytes,
            received=traffic.received_bytes,
            requests=traffic.requests,
            refused=traffic.refused,
            hosts=traffic.hosts,
        )


def ended(events: Events, session: Session, how: Ending, error: BrowserServiceError) -> None:
    """A lease is over; `error` is the answer to late calls."""
    events.emit("lease_ended", lease_id=session.lease_id, how=how, code=error.code, steps=session.steps)
