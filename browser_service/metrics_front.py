"""What only one process of a service tells Prometheus: the queue, and which nodes are down.

Masters that share a store all know it. The first of those that are up tells it, so that sums over all targets are right.
"""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from browser_service.errors import RegistryDown
from browser_service.models import NodeStatus
from browser_service.tiers.overview import Overview


class FrontMetrics:
    """Gauges of the whole service, read when they are asked for."""

    def __init__(self) -> None:
        name = "browser_service"
        self.registry = CollectorRegistry()
        """What the first front tells."""
        self.own = CollectorRegistry()
        """What each front tells of itself."""
        self._queue = Gauge(f"{name}_queue_depth", "Requests that wait for a slot", registry=self.registry)
        self._down = Gauge(f"{name}_nodes_down", "Nodes that say nothing or have no browser", registry=self.registry)
        self._up = Gauge(f"{name}_node_up", "Whether the node has a browser", ["node"], registry=self.registry)
        self._store = Gauge(f"{name}_registry_up", "Whether this front reaches the store of leases", registry=self.own)

    async def text(self, overview: Overview) -> bytes:
        """Everything that is this front's to tell. Without the store it knows nothing for certain but that."""
        try:
            waiting = await overview.store.waiting()
        except RegistryDown:
            self._store.set(0)
            return generate_latest(self.own)
        self._store.set(1)
        if not overview.roster.is_first:
            return generate_latest(self.own)
        self._queue.set(waiting)
        self._tell_nodes((await overview.status()).nodes)
        return generate_latest(self.own) + generate_latest(self.registry)

    def _tell_nodes(self, nodes: list[NodeStatus]) -> None:
        self._up.clear()
        for node in nodes:
            self._up.labels(node.url).set(node.healthy)
        self._down.set(sum(not node.healthy for node in nodes))
