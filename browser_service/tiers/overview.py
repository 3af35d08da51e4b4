"""What a front knows of the places that report to it: nodes, sessions, where a lease is, which place is gone.

A master and a node alone have an `Admission` beside it; a node behind a master has only this.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from browser_service.background import Background, every
from browser_service.errors import BrowserServiceError, LeaseNotFound, RegistryDown, UnknownNode
from browser_service.events import Events
from browser_service.leasing.leases import Grant, HeldLease, HeldPlace, LeaseStore, PlaceReport
from browser_service.models import NodeStatus, PoolStatus, SessionStatus
from browser_service.models.tiers import PlaceStatus
from browser_service.session.sessions import lease_id_of
from browser_service.settings import Settings
from browser_service.tiers.places import Place

log = logging.getLogger(__name__)

DrainNode = Callable[[str, bool], Awaitable[None]]


class Overview:
    """Use as `async with Overview(...) as overview`: meanwhile places that fall silent are given up."""

    def __init__(
        self,
        settings: Settings,
        store: LeaseStore,
        place_at: Callable[[str], Place],
        events: Events,
        *,
        opens_after_s: float = 0.0,
    ) -> None:
        """`opens_after_s`: how long to listen to the places before the first slot is given out, for after a restart they
        know of leases that the store has forgotten.
        """
        self.store = store
        self.store.on_superseded = self._end_superseded
        self.place_at = place_at
        self.draining = False
        """Whether this front gives out nothing."""
        self.drain_node: DrainNode = lambda node, draining: self.place_at(node).set_draining(draining)
        """Tells a node that its places take no new leases, or that they do again. A node sets this to itself."""
        self.opens_at = 0.0
        """When the first slot may be given out, in seconds of the event loop."""
        self._url = settings.url
        self._opens_after_s = opens_after_s
        self._reap_interval_s = settings.reap_interval_s
        self._events = events
        self._places: dict[str, HeldPlace] = {}
        self._background = Background(BrowserServiceError)

    async def __aenter__(self) -> "Overview":
        self.opens_at = asyncio.get_running_loop().time() + self._opens_after_s
        self._background.start(every(self._reap_interval_s, self._reap))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.draining = True
        await self._background.cancel()
        await self.store.close()

    async def learn(self, reports: Sequence[PlaceReport]) -> None:
        """Takes the places' word for what they hold."""
        for report in reports:
            await self.store.report(report)
        if any(report.place not in self._places for report in reports):
            await self._refresh()

    async def distrust(self, place: str) -> None:
        """Nothing more is given to a place that is not there, until it reports again."""
        with suppress(RegistryDown):
            await self._refresh()
            if held := self._places.get(place):
                goodbye = PlaceReport(place=place, node=held.node, capacity=held.capacity, healthy=False, ttl_s=0)
                await self.store.report(goodbye)

    def knows(self, place: str) -> bool:
        """Whether the place has reported lately."""
        return place in self._places

    async def held(self, instance_id: str) -> HeldLease:
        """The lease as the store knows it. Raises `LeaseNotFound`."""
        lease_id = lease_id_of(instance_id)
        for held in await self.store.leases():
            if held.lease_id == lease_id:
                return held
        raise LeaseNotFound(f"instance not found: there is no lease {lease_id[:80]}")

    async def place_of(self, instance_id: str, node: str | None) -> str:
        """The address of the place that an old client means. Raises `LeaseNotFound`, `UnknownNode`."""
        if place := self._named(instance_id, node):
            return place
        await self._refresh()
        if place := self._named(instance_id, node):
            return place
        if node is not None and all(held.node != node for held in self._places.values()):
            raise UnknownNode(f"Node {node[:200]} is not found")
        return (await self.held(instance_id)).place

    async def status(self) -> PoolStatus:
        """Nodes, sessions and queue. Without the store: what is known of the places."""
        asked = await self._ask()
        nodes: dict[str, dict[HeldPlace, PlaceStatus]] = {}
        for place, answer in asked:
            nodes.setdefault(place.node, {})[place] = answer
        queue = 0
        with suppress(RegistryDown):
            queue = await self.store.waiting()
        return PoolStatus(
            nodes=[_node(name, places) for name, places in nodes.items()],
            queue=queue,
            browser=next((answer.browser for _, answer in asked if answer.browser), ""),
        )

    async def sessions(self) -> list[SessionStatus]:
        """Every live lease, as its place tells it."""
        return [session for _, answer in await self._ask() for session in answer.sessions]

    async def end_by_force(self, instance_id: str) -> None:
        """Ends a lease whoever holds it. Raises `LeaseNotFound`."""
        held = await self.held(instance_id)
        await self.place_at(held.place).end(held.lease_id)
        await self.store.end(held.lease_id)

    async def drain(self, node: str | None = None) -> None:
        """No new leases: from this front, or from the places of one node. Those that run go on.

        Raises `UnknownNode`, `Unreachable`.
        """
        await self._set_draining(node, True)

    async def undrain(self, node: str | None = None) -> None:
        """New leases again. Raises `UnknownNode`, `Unreachable`."""
        await self._set_draining(node, False)

    @property
    def is_ready(self) -> bool:
        """Whether a lease could be given out, were one free."""
        is_open = asyncio.get_running_loop().time() >= self.opens_at
        return is_open and not self.draining and any(p.healthy and not p.draining for p in self._places.values())

    def _named(self, instance_id: str, node: str | None) -> str | None:
        """The one known place with this port, of this node."""
        port = instance_id.rpartition(":")[2]
        of_node = [held.place for held in self._places.values() if node in (None, held.node)]
        fitting = [place for place in of_node if place.rpartition(":")[2] == port]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self) -> None:
        self._places = {held.place: held for held in await self.store.places()}

    async def _ask(self) -> list[tuple[HeldPlace, PlaceStatus]]:
        """What the places say of themselves; one that does not answer shows nothing."""

        async def ask(held: HeldPlace) -> tuple[HeldPlace, PlaceStatus]:
            with suppress(BrowserServiceError):
                return held, await self.place_at(held.place).status()
            return held, PlaceStatus(browser="", sessions=[])

        with suppress(RegistryDown):
            await self._refresh()
        return await asyncio.gather(*map(ask, self._places.values()))

    async def _set_draining(self, node: str | None, draining: bool) -> None:
        if node is None:
            self.draining = draining
            return
        await self._refresh()
        if node != self._url and all(held.node != node for held in self._places.values()):
            raise UnknownNode(f"Node {node[:200]} is not found")
        await self.drain_node(node, draining)

    async def _reap(self) -> None:
        try:
            for lost in await self.store.reap():
                self._give_up(lost)
            await self._refresh()
        except RegistryDown as error:
            log.warning("the store of leases is down, running sessions go on: %s", error.detail)

    def _end_superseded(self, grants: Sequence[Grant]) -> None:
        """Leases whose key is answered with others. Should a place not hear of it, it reports them and they are ended again."""
        for grant in grants:
            log.warning("lease %s of %s is ended: its key has another one", grant.lease_id, grant.place)
            self._background.start(self.place_at(grant.place).end(grant.lease_id))

    def _give_up(self, lease: HeldLease) -> None:
        """A lease that was never taken up, or whose place is silent. Should its browser live, its place brings it back."""
        log.warning("lease %s of %s is given up (%s): its place says nothing", lease.lease_id, lease.place, lease.state)
        self._events.emit("lease_ended", lease_id=lease.lease_id, how="lost", code="PLACE_GONE")


def _node(name: str, places: Mapping[HeldPlace, PlaceStatus]) -> NodeStatus:
    sessions = [session for answer in places.values() for session in answer.sessions]
    return NodeStatus(
        url=name,
        hash=name,
        healthy=any(place.healthy for place in places),
        capacity=sum(place.capacity for place in places),
        # A place that does not answer says of no browser: who knows how many of its slots are free.
        available=sum(
            max(0, place.capacity - len(told.sessions))
            for place, told in places.items()
            if told.browser and place.healthy
        ),
        instances=[session.instance_id for session in sessions],
        sessions=sessions,
        draining=all(place.draining for place in places),
    )
