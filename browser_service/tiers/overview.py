"""A master's view of the instances that report to it: nodes, sessions, the instance of each lease, lost instances.

A master, and a node without a master, has an `Admission` beside it; a node behind a master has only this.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from browser_service.background import Background, Outage, every
from browser_service.errors import (
    BrowserServiceError,
    LeaseNotFound,
    RegistryDown,
    UnknownNode,
)
from browser_service.events import Events
from browser_service.leasing.leases import (
    Grant,
    HeldLease,
    InstanceReport,
    KnownInstance,
    LeaseStore,
    lease_id_of,
)
from browser_service.models import PoolStatus, SessionStatus
from browser_service.models.tiers import InstanceStatus
from browser_service.settings import Settings
from browser_service.tiers.instances import Instance
from browser_service.tiers.missing import Missing
from browser_service.tiers.node_status import lost, node_that_is_down, out_of_sight, status_of_node
from browser_service.tiers.orders import Order, Orders
from browser_service.tiers.roster import Roster, SilentInstance

log = logging.getLogger(__name__)

DrainNode = Callable[[str, bool], Awaitable[None]]


class Overview:
    """Use as `async with Overview(...) as overview`: while it is entered, instances that fall silent are given up."""

    def __init__(
        self,
        settings: Settings,
        store: LeaseStore,
        instance_at: Callable[[str], Instance],
        events: Events,
        *,
        opens_after_s: float = 0.0,
        orders: Orders | None = None,
        is_front: bool = True,
    ) -> None:
        """`opens_after_s`: seconds to collect reports before the first slot is given out, because after a restart the
        instances know of leases that the store has lost. `orders`: stored drain orders; None: no orders and no storage.
        `is_front`: this process gives out leases, and does not only know them.
        """
        self.store = store
        self.store.on_superseded = self._end_superseded
        self.instance_at = instance_at
        self.roster = Roster(settings, store.board, orders or Orders(), is_front=is_front)
        """The members of the service."""
        self.drain_node: DrainNode = lambda node, draining: self.instance_at(node).set_draining(draining)
        """Sets the drain state of a node's instances. A node replaces this with its own method."""
        self.opens_at = 0.0
        """Earliest time of the first grant, in seconds of the event loop."""
        self._url = settings.url
        self._opens_after_s = opens_after_s
        self._reap_interval_s = settings.reap_interval_s
        self._events = events
        self._missing = Missing(time.monotonic, settings.down_shown_s)
        self._outage = Outage(log)
        self._instances: dict[str, KnownInstance] = {}
        self._background = Background(BrowserServiceError)

    async def __aenter__(self) -> "Overview":
        self.opens_at = asyncio.get_running_loop().time() + self._opens_after_s
        self._background.start(every(self._reap_interval_s, self._reap))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.roster.stopping = True
        await self._background.cancel()
        await self.store.close()

    async def learn(self, reports: Sequence[InstanceReport]) -> None:
        """Takes the reports of instances."""
        for report in reports:
            await self.store.report(report)
        self.roster.remember(reports)
        if any(report.instance not in self._instances for report in reports):
            await self._refresh()

    async def sign_off(self, instance: str) -> None:
        """Stops giving leases to an instance that is absent, until it reports again."""
        with suppress(RegistryDown):
            await self._refresh()
            if known := self._instances.get(instance):
                goodbye = InstanceReport(
                    instance=instance, node=known.node, capacity=known.capacity, healthy=False, ttl_s=0
                )
                await self.store.report(goodbye)

    def knows(self, instance: str) -> bool:
        """True if the instance has reported recently."""
        return instance in self._instances

    async def lease_of(self, instance_id: str) -> HeldLease:
        """The lease as the store knows it. Raises `LeaseNotFound`, or the error of an instance that can't answer."""
        lease_id = lease_id_of(instance_id)
        for lease in await self.store.leases():
            if lease.lease_id == lease_id:
                return lease
        self._refuse_if_lost(instance_id)
        if silent := self._silent(instance_id, None):
            raise out_of_sight(silent)
        raise LeaseNotFound(f"instance not found: there is no lease {lease_id[:80]}")

    async def instance_of(self, instance_id: str, node: str | None) -> str:
        """The address of the instance that an old client means.

        Raises `LeaseNotFound`, `UnknownNode`, and `Unreachable` or `BrowserCrashed` for an instance that is silent.
        """
        if instance := self._named(instance_id, node):
            self._refuse_if_lost(instance_id)
            return instance
        await self._refresh()
        if instance := self._named(instance_id, node):
            self._refuse_if_lost(instance_id)
            return instance
        if silent := self._silent(instance_id, node):
            return await self._awake(silent)
        if node is not None and all(known.node != node for known in self._instances.values()):
            raise UnknownNode(f"Node {node[:200]} is not found")
        return (await self.lease_of(instance_id)).instance

    async def status(self) -> PoolStatus:
        """Nodes, fronts, sessions and queue. Without the store: as far as the instances report it."""
        asked = await self._ask()
        nodes: dict[str, dict[KnownInstance, InstanceStatus]] = {}
        for instance, answer in asked:
            nodes.setdefault(instance.node, {})[instance] = answer
        queue = 0
        with suppress(RegistryDown):
            queue = await self.store.waiting()
        away: dict[str, list[SilentInstance]] = {}
        for silent in self.roster.silent(self._instances):
            if silent.node not in nodes:
                away.setdefault(silent.node, []).append(silent)
        return PoolStatus(
            nodes=[status_of_node(name, instances) for name, instances in nodes.items()]
            + [node_that_is_down(name, instances) for name, instances in away.items()],
            queue=queue,
            browser=next((answer.browser for _, answer in asked if answer.browser), ""),
            fronts=self.roster.fronts(),
            draining=self.roster.orders.service.draining,
        )

    async def sessions(self) -> list[SessionStatus]:
        """Every live lease, as its instance reports it."""
        return [session for _, answer in await self._ask() for session in answer.sessions]

    async def end_by_force(self, instance_id: str) -> None:
        """Ends a lease, whoever holds it. Raises `LeaseNotFound`."""
        lease = await self.lease_of(instance_id)
        await self.instance_at(lease.instance).end(lease.lease_id)
        await self.store.end(lease.lease_id)

    async def set_draining(self, draining: bool, part: str | None = None) -> None:
        """Drains or undrains the service, one node, or one front. Leases that exist go on.

        The order holds until the opposite is given. Raises `UnknownNode`, `Unreachable`.
        """
        if part is None:
            self.roster.orders.set_service(Order.now(draining))
        elif part == self._url and self.roster.is_front:
            self.roster.orders.set_itself(draining)
            if any(known.node == part for known in self._instances.values()):
                await self.drain_node(part, draining)
        elif any(front.url == part for front in self.roster.fronts()):
            await self.instance_at(part).set_draining(draining)
        else:
            await self._refresh()
            silent = any(instance.node == part for instance in self.roster.silent(self._instances))
            if part != self._url and not silent and all(known.node != part for known in self._instances.values()):
                raise UnknownNode(f"Node {part[:200]} is not found")
            await self.drain_node(part, draining)
        with suppress(RegistryDown):  # the others learn of it once it is back
            await self.roster.exchange()

    async def stop_instances(self) -> None:
        """Drains the instances of a node that is about to stop. Raises `Unreachable`."""
        await asyncio.gather(*(self.instance_at(instance).set_draining(True) for instance in self._instances))

    async def is_ready(self) -> bool:
        """True if this process would give out a lease, provided that a slot is free."""
        if self.roster.drains or asyncio.get_running_loop().time() < self.opens_at:
            return False
        try:
            await self._refresh()
        except RegistryDown:
            return False
        return any(instance.healthy and not instance.draining for instance in self._instances.values())

    def _named(self, instance_id: str, node: str | None) -> str | None:
        """The one known instance with this port on this node."""
        port = instance_id.rpartition(":")[2]
        of_node = [known.instance for known in self._instances.values() if node in (None, known.node)]
        fitting = [instance for instance in of_node if instance.rpartition(":")[2] == port]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self) -> None:
        self._instances = {known.instance: known for known in await self.store.instances()}

    async def _ask(self) -> list[tuple[KnownInstance, InstanceStatus]]:
        """The status of every instance; one that does not answer is left out."""

        async def ask(known: KnownInstance) -> tuple[KnownInstance, InstanceStatus]:
            with suppress(BrowserServiceError):
                return known, await self.instance_at(known.instance).status()
            return known, InstanceStatus(browser="", sessions=[])

        with suppress(RegistryDown):
            await self._refresh()
        return await asyncio.gather(*map(ask, self._instances.values()))

    def _silent(self, instance_id: str, node: str | None) -> SilentInstance | None:
        """The one silent instance that the lease may be at."""
        port = instance_id.rpartition(":")[2]
        of_node = [each for each in self.roster.silent(self._instances) if node in (None, each.node)]
        fitting = [each for each in of_node if each.instance.rpartition(":")[2] == port]
        return fitting[0] if fitting else None

    async def _awake(self, silent: SilentInstance) -> str:
        """The address of an instance whose node is silent, if it answers. A call that could hang there is not sent."""
        if silent.has_ended:
            raise lost(f"the instance at {silent.instance} has ended and its leases with it")
        try:
            await self.instance_at(silent.instance).status()
        except BrowserServiceError as error:
            raise out_of_sight(silent) from error
        return silent.instance

    def _refuse_if_lost(self, instance_id: str) -> None:
        if self.roster.has_lost(lease_id_of(instance_id)):
            raise lost("the instance that had the lease is gone")

    async def _reap(self) -> None:
        try:
            self._missing.add(await self.store.reap())
            await self._refresh()
            for lost in self._missing.settle(self._instances):
                self._give_up(lost)
            await self.roster.exchange()
        except RegistryDown as error:
            self._outage.failed(f"the store of leases is down, running sessions go on: {error.detail}")
        else:
            self._outage.worked("the store of leases is back")

    def _end_superseded(self, grants: Sequence[Grant]) -> None:
        """Ends leases whose key was answered with others. If an instance misses it, its next report repeats it."""
        for grant in grants:
            log.warning("lease %s of %s is ended: its key has another one", grant.lease_id, grant.instance)
            self._background.start(self.instance_at(grant.instance).end(grant.lease_id))

    def _give_up(self, lease: HeldLease) -> None:
        """Gives up a lease whose instance is dead or silent for too long. Only one front reports it, no lower tier."""
        self.roster.note_lost(lease.lease_id)
        if self.roster.is_front:
            log.warning("lease %s of %s is lost with its instance", lease.lease_id, lease.instance)
            self._events.emit("lease_ended", lease_id=lease.lease_id, how="lost", code="PLACE_GONE")
