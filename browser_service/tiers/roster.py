"""The members of the service: fronts and instances, silent ones included, and their drain orders.

A front is a master, or a node without one. Fronts with a common store exchange this list by the store's board. While
the store is away, the list that was read last holds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from browser_service.leasing.board import Board, Kind, Notice, Posted
from browser_service.leasing.leases import InstanceReport
from browser_service.models import FrontStatus
from browser_service.settings import Settings
from browser_service.tiers.orders import Order, Orders

ORDER_S = 30 * 24 * 3600.0
SERVICE = "service"


@dataclass(frozen=True)
class SilentInstance:
    """An instance that has reported before and no longer reports."""

    instance: str
    node: str
    capacity: int
    silent_s: float
    has_ended: bool
    """True if its process is known to have ended, and is not just silent."""


class Roster:
    """The members of the service, as one front knows them."""

    def __init__(self, settings: Settings, board: Board, orders: Orders, *, is_front: bool) -> None:
        """`is_front`: this process gives out leases, and is listed for it with the others."""
        self.orders = orders
        self.stopping = False
        """True if this process is about to end."""
        self.is_front = is_front
        self._url = settings.url
        self._front_ttl_s = settings.instance_ttl_s
        self._shown_s = settings.down_shown_s
        self._board = board
        self._unposted: dict[str, Notice] = {}
        self._posted: dict[Kind, dict[str, Posted]] = {}

    @property
    def drains_itself(self) -> bool:
        """True if this front itself gives out no leases, whatever the others do."""
        return self.stopping or self.orders.itself.draining

    @property
    def drains(self) -> bool:
        """True if this front gives out no leases."""
        return self.drains_itself or self.orders.service.draining

    @property
    def is_first(self) -> bool:
        """True if this front reports the facts that all fronts know: of all that are up, the first by address does."""
        up = [front.url for front in self.fronts() if front.state != "down"]
        return self.is_front and self._url == min([*up, self._url])

    @property
    def has_others(self) -> bool:
        """True if another front gives out leases of the same instances."""
        return any(front.url != self._url and front.state == "up" for front in self.fronts())

    def remember(self, reports: Sequence[InstanceReport]) -> None:
        """Remembers instances, with their latest reports."""
        for report in reports:
            data = {"node": report.node, "capacity": report.capacity, "ended": not report.ttl_s}
            self._unposted[report.instance] = Notice(
                kind="instance", name=report.instance, ttl_s=self._shown_s, data=data
            )

    async def exchange(self) -> None:
        """Publishes the news of this front to the others, and reads theirs. Raises `RegistryDown`."""
        posting = dict(self._unposted)
        notices = [*posting.values(), *self._own()]
        posted = await self._board.exchange(notices)
        for name, notice in posting.items():
            if self._unposted.get(name) is notice:
                del self._unposted[name]
        self._posted = {}
        for one in posted:
            self._posted.setdefault(one.kind, {})[one.name] = one
        if order := self._posted.get("order", {}).get(SERVICE):
            self.orders.set_service(Order(draining=bool(order.data.get("draining")), at=order.version))

    def note_lost(self, lease_id: str) -> None:
        """Remembers that the lease is lost, because its holder may not know it yet."""
        self._unposted[lease_id] = Notice(kind="lost", name=lease_id, ttl_s=self._shown_s)

    def has_lost(self, lease_id: str) -> bool:
        """True if the lease was lost with its instance."""
        return lease_id in self._posted.get("lost", {}) or lease_id in self._unposted

    def fronts(self) -> list[FrontStatus]:
        """All fronts of the service, by address."""
        known = {name: self._front(one) for name, one in self._posted.get("front", {}).items() if name != self._url}
        if self.is_front:
            known[self._url] = FrontStatus(url=self._url, state="draining" if self.drains_itself else "up")
        return [known[name] for name in sorted(known)]

    def silent(self, reporting: Collection[str]) -> list[SilentInstance]:
        """The remembered instances that are not among `reporting`, by address."""
        return [
            SilentInstance(name, str(one.data["node"]), int(one.data["capacity"]), one.age_s, bool(one.data["ended"]))
            for name, one in sorted(self._posted.get("instance", {}).items())
            if name not in reporting
        ]

    def _front(self, one: Posted) -> FrontStatus:
        if one.age_s > self._front_ttl_s:
            return FrontStatus(url=one.name, state="down", down_for_s=one.age_s)
        return FrontStatus(url=one.name, state="draining" if one.data.get("draining") else "up")

    def _own(self) -> list[Notice]:
        if not self.is_front:
            return []
        me = Notice(kind="front", name=self._url, ttl_s=self._shown_s, data={"draining": self.drains_itself})
        order = self.orders.service
        if not order.at:
            return [me]
        data = {"draining": order.draining}
        return [me, Notice(kind="order", name=SERVICE, ttl_s=ORDER_S, data=data, version=order.at)]
