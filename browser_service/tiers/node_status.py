"""The status of a node as a master shows it, and the errors of calls for instances that are silent or gone."""

from collections.abc import Mapping, Sequence

from browser_service.errors import BrowserCrashed, Unreachable
from browser_service.leasing.leases import RETRY_AFTER_S, KnownInstance
from browser_service.models import NodeStatus
from browser_service.models.tiers import InstanceStatus
from browser_service.tiers.roster import SilentInstance


def lost(what: str) -> BrowserCrashed:
    """The error for a lease that is lost with its instance. Old clients match the words at its start."""
    error = BrowserCrashed(f"instance not found: {what}; ask for a new lease")
    error.session_state = "lost"
    return error


def out_of_sight(silent: SilentInstance) -> Unreachable:
    """The error of a call for an instance of a node that does not report."""
    return Unreachable(
        f"the node {silent.node} has said nothing for {silent.silent_s:.0f} s: its leases are lost if it died, try again or "
        "ask for a new lease",
        retry_after_s=RETRY_AFTER_S,
    )


def status_of_node(name: str, instances: Mapping[KnownInstance, InstanceStatus]) -> NodeStatus:
    """The status of a node, from the reports and the answers of its instances."""
    sessions = [session for answer in instances.values() for session in answer.sessions]
    return NodeStatus(
        url=name,
        hash=name,
        healthy=any(instance.healthy and status.browser for instance, status in instances.items()),
        capacity=sum(instance.capacity for instance in instances),
        # An instance that does not answer reports no browser: the count of its free slots is unknown.
        available=sum(
            max(0, instance.capacity - len(status.sessions))
            for instance, status in instances.items()
            if status.browser and instance.healthy
        ),
        instances=[session.instance_id for session in sessions],
        sessions=sessions,
        draining=all(instance.draining for instance in instances),
    )


def node_that_is_down(name: str, instances: Sequence[SilentInstance]) -> NodeStatus:
    """The status of a node whose instances are all silent."""
    return NodeStatus(
        url=name,
        hash=name,
        healthy=False,
        capacity=sum(instance.capacity for instance in instances),
        available=0,
        instances=[],
        down_for_s=min(instance.silent_s for instance in instances),
    )
