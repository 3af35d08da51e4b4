"""The status of a node as a master shows it, and the errors of calls for instances that are silent or gone."""

from collections.abc import Mapping, Sequence

from browser_service.errors import BrowserCrashed, Unreachable
from browser_service.leasing.leases import RETRY_AFTER_S, HeldPlace
from browser_service.models import NodeStatus
from browser_service.models.tiers import PlaceStatus
from browser_service.tiers.roster import SilentPlace


def lost(what: str) -> BrowserCrashed:
    """The error for a lease that is lost with its instance. Old clients match the words at its start."""
    error = BrowserCrashed(f"instance not found: {what}; ask for a new lease")
    error.session_state = "lost"
    return error


def out_of_sight(silent: SilentPlace) -> Unreachable:
    """The error of a call for an instance of a node that does not report."""
    return Unreachable(
        f"the node {silent.node} has said nothing for {silent.silent_s:.0f} s: its leases are lost if it died, try again or "
        "ask for a new lease",
        retry_after_s=RETRY_AFTER_S,
    )


def status_of_node(name: str, places: Mapping[HeldPlace, PlaceStatus]) -> NodeStatus:
    """The status of a node, from the reports and the answers of its instances."""
    sessions = [session for answer in places.values() for session in answer.sessions]
    return NodeStatus(
        url=name,
        hash=name,
        healthy=any(place.healthy and told.browser for place, told in places.items()),
        capacity=sum(place.capacity for place in places),
        # An instance that does not answer reports no browser: the count of its free slots is unknown.
        available=sum(
            max(0, place.capacity - len(told.sessions))
            for place, told in places.items()
            if told.browser and place.healthy
        ),
        instances=[session.instance_id for session in sessions],
        sessions=sessions,
        draining=all(place.draining for place in places),
    )


def node_that_is_down(name: str, places: Sequence[SilentPlace]) -> NodeStatus:
    """The status of a node whose instances are all silent."""
    return NodeStatus(
        url=name,
        hash=name,
        healthy=False,
        capacity=sum(place.capacity for place in places),
        available=0,
        instances=[],
        down_for_s=min(place.silent_s for place in places),
    )
