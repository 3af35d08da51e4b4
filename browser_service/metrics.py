"""`GET /metrics` at every tier, for Prometheus: counters fed by this process's events, gauges read at each request.

Names and labels are an interface of dashboards and alarms. docs/browser_service.md lists them.
"""

import asyncio
import os
from collections import Counter as Counts
from collections.abc import Callable

import psutil
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from browser_service.chromium import orphans
from browser_service.chromium.chromium import Chromium
from browser_service.chromium.fleet import Fleet
from browser_service.chromium.memory import folder_bytes, resident_bytes
from browser_service.events import Event, Events
from browser_service.models import NodeStatus
from browser_service.session.sessions import Sessions

router = APIRouter(tags=["operation"])

WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STEP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 4, 8, 15, 30, 60)


class Metrics:
    """The metrics of one process."""

    def __init__(self, events: Events, node: str = "") -> None:
        """Counts from now on. `node`: label of the slots of this process."""
        self._node = node
        self.registry = CollectorRegistry()
        self._count_by_event()
        self._read_when_asked()
        self._on: dict[str, Callable[[Event], None]] = {
            "queue": self._queued,
            "session_opened": self._opened,
            "lease_granted": lambda _: self.granted.inc(),
            "lease_ended": lambda event: self.ended.labels(event.fields["how"]).inc(),
            "step": self._stepped,
            "crash": lambda event: self.crashes.labels(event.fields["part"]).inc(),
            "recycled": lambda event: self.recycles.labels(event.fields["reason"]).inc(),
            "egress": self._passed,
        }
        events.listen(self._count)

    async def text(self, sessions: Sessions | None) -> bytes:
        """All metrics, in Prometheus' text format. `sessions`: the browsers of this process, if it has any; slots are
        reported only with them.
        """
        if sessions:
            for state, number in slots_by_state((await sessions.status()).nodes).items():
                self.slots.labels(self._node, state).set(number)
        self.open_files.set(await asyncio.to_thread(psutil.Process().num_fds))
        self.zombies.set(await asyncio.to_thread(orphans.zombies))
        self.memory.labels("service", "resident").set(resident_bytes(os.getpid()))
        if sessions:
            await self._read_fleet(sessions.chromium)
        return generate_latest(self.registry)

    async def _read_fleet(self, fleet: Fleet) -> None:
        usage = await fleet.usage()
        self.memory.labels("browsers", "resident").set(usage.resident_bytes)
        self.memory.labels("browsers", "proportional").set(usage.proportional_bytes)
        self.temporary.set(await asyncio.to_thread(folder_bytes, fleet.workdir))
        self.processes.set(usage.processes)
        kinds = Counts(_kind(browser) for browser in fleet.browsers)
        for kind in ("shared", "own", "draining"):
            self.browsers.labels(kind).set(kinds[kind])

    def _count(self, event: Event) -> None:
        if count := self._on.get(event.kind):
            count(event)

    def _queued(self, event: Event) -> None:
        self.waits.labels(event.fields["outcome"]).observe(event.fields["waited_s"])

    def _opened(self, event: Event) -> None:
        self.opened.labels(event.fields["source"]).observe(event.fields["seconds"])

    def _stepped(self, event: Event) -> None:
        for phase, milliseconds in event.fields["timings_ms"].items():
            self.steps.labels(event.fields["action"], phase).observe(milliseconds / 1_000)
        if error := event.fields.get("error"):
            self.errors.labels(event.fields["action"], error).inc()
        self.pictures.inc(event.fields.get("bytes", 0))

    def _passed(self, event: Event) -> None:
        self.traffic.labels("sent").inc(event.fields["sent"])
        self.traffic.labels("received").inc(event.fields["received"])
        for reason, number in event.fields["refused"].items():
            self.refused.labels(reason).inc(number)

    def _count_by_event(self) -> None:
        name, registry = "browser_service", self.registry
        self.waits = Histogram(
            f"{name}_allocation_wait_seconds",
            "Time in the queue for a lease, by outcome",
            ["outcome"],
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self.opened = Histogram(
            f"{name}_session_open_seconds",
            "Time until a lease had its browser: reused, ahead (opened before it was asked for) or opened",
            ["source"],
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self.steps = Histogram(
            f"{name}_step_seconds",
            "Time of a step by its action and phase; phase total is the whole",
            ["action", "phase"],
            buckets=STEP_BUCKETS,
            registry=registry,
        )
        self.granted = Counter(f"{name}_leases_granted", "Leases that got a browser", registry=registry)
        self.ended = Counter(
            f"{name}_leases_ended", "Leases that are over, by how they ended", ["how"], registry=registry
        )
        self.errors = Counter(
            f"{name}_action_errors", "Actions without effect, by code", ["action", "code"], registry=registry
        )
        self.pictures = Counter(f"{name}_screenshot_bytes", "Bytes of screenshots sent", registry=registry)
        self.crashes = Counter(
            f"{name}_crashes", "Renderers, browsers and drivers that died", ["part"], registry=registry
        )
        self.recycles = Counter(
            f"{name}_recycles", "Browsers that were replaced, by reason", ["reason"], registry=registry
        )
        self.refused = Counter(
            f"{name}_egress_denied", "Connections that the proxy refused, by reason", ["reason"], registry=registry
        )
        self.traffic = Counter(
            f"{name}_egress_bytes", "Bytes through the proxy, by direction", ["direction"], registry=registry
        )

    def _read_when_asked(self) -> None:
        name, registry = "browser_service", self.registry
        self.slots = Gauge(
            f"{name}_slots",
            "Slots of this process by state; together they are its capacity",
            ["node", "state"],
            registry=registry,
        )
        self.browsers = Gauge(f"{name}_browsers", "Chromium processes by kind", ["kind"], registry=registry)
        self.processes = Gauge(f"{name}_browser_processes", "Processes of all browsers", registry=registry)
        self.memory = Gauge(
            f"{name}_memory_bytes", "Memory of this process and of its browsers", ["of", "kind"], registry=registry
        )
        self.temporary = Gauge(f"{name}_temporary_bytes", "Files of the running browsers", registry=registry)
        self.zombies = Gauge(f"{name}_zombies", "Dead processes that have not been reaped", registry=registry)
        self.open_files = Gauge(f"{name}_open_files", "File descriptors of this process", registry=registry)


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    service = request.app.state.service
    text = await service.metrics.text(service.own_sessions)
    if service.own_admission is not None:
        text += await service.front_metrics.text(service.overview)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def slots_by_state(nodes: list[NodeStatus]) -> dict[str, int]:
    """Counts slots by state: idle, leased, draining (free, but not given out), broken (its browser is down)."""
    states = dict.fromkeys(("idle", "leased", "draining", "broken"), 0)
    for node in nodes:
        leased = min(len(node.instances), node.capacity)
        states["leased"] += leased
        rest = "broken" if not node.healthy else "draining" if node.draining else "idle"
        states[rest] += node.capacity - leased
    return states


def _kind(browser: Chromium) -> str:
    if browser.retiring:
        return "draining"
    return "shared" if browser.is_shared else "own"
