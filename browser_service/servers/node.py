"""One machine: its instances, supervised, and in front of them either this process or a master.

node ── supervises ──> instances (port 9000 and up)
  ^─────── reports ───────┘
  └─ alone: gives out their slots.  behind a master: forwards the reports, and the master gives out the slots
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from browser_service.background import Background
from browser_service.egress.policy import control_ports
from browser_service.errors import BrowserServiceError
from browser_service.events import Events
from browser_service.leasing.leases import InstanceReport
from browser_service.servers.relay import Pending, Upstream
from browser_service.servers.supervise import STOP_DEADLINE_S, Program, Supervisor
from browser_service.settings import Settings
from browser_service.tiers.admission import Admission
from browser_service.tiers.instances import remote_instances, tier_client
from browser_service.tiers.orders import orders_of
from browser_service.tiers.overview import Overview
from browser_service.tiers.reporter import Reporter
from browser_service.tiers.service import Service, key_of, store_in_memory

log = logging.getLogger(__name__)

SILENCE_S = 60.0
"""An instance without a report for so long hangs and is killed; its leases were given up long before."""
GLANCE_S = 1.0


class Node:
    """A node's view of its instances. `learn` takes their reports, `ended` the exits that the supervisor sees.

    The drain state is kept here: an instance that is restarted gets the state of the others.
    """

    def __init__(self, settings: Settings, slots: dict[str, int], overview: Overview) -> None:
        """`slots`: slot count of each instance, by address."""
        self._settings = settings
        self._slots = slots
        self._overview = overview
        self._heard = dict.fromkeys(slots, time.monotonic())
        self._orders = overview.roster.orders
        """Drain orders, which survive a restart of the node."""
        self._one_order = asyncio.Lock()
        """Serializes drain orders, so that none is overtaken by its opposite."""
        self._pending = Pending()
        self._upstream: Reporter | None = None
        self._background = Background(BrowserServiceError)

    def reports_to(self, master: Upstream) -> Reporter:
        """Forwards the reports that arrive to the master, as long as the reporter is entered."""
        self._upstream = Reporter(self._pending.take, master.send, self._settings.report_interval_s)
        return self._upstream

    async def learn(self, reports: list[InstanceReport]) -> None:
        """Takes the reports of instances."""
        for report in reports:
            self._heard[report.instance] = time.monotonic()
        reports = [self._as_ordered(report) for report in reports]
        await self._overview.learn(reports)
        if self._upstream:
            self._pending.add(reports)
            self._upstream.hurry()

    async def set_draining(self, node: str, draining: bool) -> None:
        """Sets the drain state of all instances, those that are down at the moment included. Raises `Unreachable`."""
        async with self._one_order:
            self._orders.set_itself(draining)
            reporting = [known.instance for known in await self._overview.store.instances()]
            await asyncio.gather(
                *(self._overview.instance_at(instance).set_draining(draining) for instance in reporting)
            )

    def _as_ordered(self, report: InstanceReport) -> InstanceReport:
        """Marks the report of a restarted instance as draining before the instance has received the order."""
        if report.draining or not self._orders.itself.draining or not report.ttl_s:
            return report
        self._background.start(self._drain_too(report.instance))
        return report.model_copy(update={"draining": True})

    async def _drain_too(self, instance: str) -> None:
        async with self._one_order:
            if self._orders.itself.draining:
                await self._overview.instance_at(instance).set_draining(True)

    def ended(self, program: Program) -> None:
        """Reports for an instance that has ended, at once, that all its leases are gone."""
        instance = program.name
        self._heard[instance] = time.monotonic()
        goodbye = InstanceReport(
            instance=instance, node=self._settings.url, capacity=self._slots[instance], healthy=False, ttl_s=0.0
        )
        self._background.start(self.learn([goodbye]))

    async def kill_the_hung(self, supervisor: Supervisor) -> None:
        """Runs forever: kills instances that hang, that is, neither report nor exit."""
        while True:
            await asyncio.sleep(GLANCE_S)
            for instance in self._slots:
                if time.monotonic() - self._heard[instance] > SILENCE_S:
                    log.error("the instance at %s has said nothing for %g s and is killed", instance, SILENCE_S)
                    self._heard[instance] = time.monotonic()
                    supervisor.kill(instance)

    async def stop(self) -> None:
        """Ends the background calls."""
        await self._background.cancel()


@asynccontextmanager
async def running_node(
    settings: Settings, slots: Sequence[int], first_port: int, log_level: str
) -> AsyncGenerator[Service, None]:
    """Instances with the given slot counts, on ports from `first_port` on, and the process in front of them."""
    key, events = key_of(settings), Events()
    ports = dict(enumerate(slots, first_port))
    instances = {settings.address_of(port): count for port, count in ports.items()}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(tier_client(key.value))
        store = store_in_memory(settings, key)
        overview = Overview(
            settings,
            store,
            remote_instances(settings, http),
            events,
            orders=orders_of(settings),
            is_front=settings.master_url is None,
        )
        await stack.enter_async_context(overview)
        node = Node(settings, instances, overview)
        overview.drain_node = node.set_draining
        if settings.master_url:
            await stack.enter_async_context(node.reports_to(Upstream(settings.master_url.split(","), http)))
        stack.push_async_callback(node.stop)
        stop_s = STOP_DEADLINE_S + settings.drain_deadline_s
        instances = programs(settings, ports, key.value, log_level)
        supervisor = await stack.enter_async_context(Supervisor(instances, on_exit=node.ended, stop_deadline_s=stop_s))
        watching = asyncio.get_running_loop().create_task(node.kill_the_hung(supervisor))
        stack.callback(watching.cancel)
        admission = None if settings.master_url else Admission(overview, events)
        yield Service(settings, events, key, overview=overview, own_admission=admission, learn=node.learn)


def programs(settings: Settings, slots: Mapping[int, int], key: str, log_level: str) -> list[Program]:
    """The programs of the instances, with their slot counts by port. The node's command line options are passed on."""
    shared = {
        "BROWSER_SERVICE_HOST": settings.host,
        "BROWSER_SERVICE_NODE_URL": settings.url,
        "BROWSER_SERVICE_TIER_KEY": key,
        "BROWSER_SERVICE_CONTROL_PORTS": ",".join(map(str, sorted(control_ports(settings) | slots.keys()))),
    }
    if settings.advertise_host:
        shared["BROWSER_SERVICE_ADVERTISE_HOST"] = settings.advertise_host
    if settings.chromium:
        shared["BROWSER_SERVICE_CHROMIUM"] = str(settings.chromium)

    def instance(port: int, count: int) -> Program:
        own = {"BROWSER_SERVICE_PORT": str(port), "BROWSER_SERVICE_SLOTS": str(count)}
        return Program(settings.address_of(port), ["instance", "--log-level", log_level], {**shared, **own})

    return [instance(port, count) for port, count in slots.items()]
