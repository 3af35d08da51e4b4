"""Metrics that only one process of a service reports: the queue, and which nodes are down.

Masters that share a store all know them. The first master that is up reports them, so that sums over all targets are
right.
"""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from browser_service.errors import RegistryDown
from browser_service.models import NodeStatus
from browser_service.tiers.overview import Overview


class FrontMetrics:
    """Gauges of the whole service, read at each request."""

    def __init__(self) -> None:
        name = "browser_service"
        self.registry = CollectorRegistry()
        """Metrics of the whole service, reported by the first front."""
        self.own = CollectorRegistry()
        """Metrics of each front itself."""
        self._queue = Gauge(f"{name}_queue_depth", "Requests that wait for a slot", registry=self.registry)
        self._down = Gauge(f"{name}_nodes_down", "Nodes that are silent or have no browser", registry=self.registry)
        self._up = Gauge(f"{name}_node_up", "1 if the node has a browser", ["node"], registry=self.registry)
        self._store = Gauge(f"{name}_registry_up", "1 if this front reaches the lease store", registry=self.own)

    async def text(self, overview: Overview) -> bytes:
        """All metrics that this front reports. Without the store it reports only that the store is down."""
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
