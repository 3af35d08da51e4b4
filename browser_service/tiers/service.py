"""One process of the service: it holds browsers, gives out leases, or both. The routes find it in `app.state.service`.

instance        sessions                 browsers; leases come from the node or master in front
up              sessions and admission   both in one process, without a hop between them
node, master    overview and admission   leases on the browsers of other processes
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request

from browser_service.chromium.fleet import Fleet
from browser_service.errors import BadRequest, RegistryDown
from browser_service.events import Events
from browser_service.leasing.leases import InstanceReport, LeaseStore, QueueLimits
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.tokens import TierKey
from browser_service.metrics import Metrics
from browser_service.metrics_front import FrontMetrics
from browser_service.models import PoolStatus, SessionStatus
from browser_service.session.sessions import Sessions
from browser_service.settings import Settings, SettingsError
from browser_service.tiers.admission import Admission
from browser_service.tiers.instances import Local
from browser_service.tiers.orders import orders_of
from browser_service.tiers.overview import Overview
from browser_service.tiers.reporter import Reporter
from browser_service.tiers.workdir import work_folder

REDIS_PREFIX = "{browser-service}"


class Tier(Protocol):
    """The calls that every tier answers: `Sessions` and `Overview` implement it."""

    async def status(self) -> PoolStatus: ...
    async def sessions(self) -> list[SessionStatus]: ...
    async def end_by_force(self, instance_id: str) -> None: ...
    async def set_draining(self, draining: bool, part: str | None = None) -> None: ...
    async def is_ready(self) -> bool: ...


Learn = Callable[[list[InstanceReport]], Awaitable[None]]


@dataclass
class Service:
    """One process. A call that belongs to another process is refused with a message that names it."""

    settings: Settings
    events: Events = field(default_factory=Events)
    key: TierKey = field(default_factory=TierKey.random)
    own_sessions: Sessions | None = None
    """Its own browsers."""
    overview: Overview | None = None
    """Its view of the instances that report to it."""
    own_admission: Admission | None = None
    """Gives out the slots of the instances, unless a master does."""
    learn: Learn | None = None
    """Takes the instances' reports."""
    metrics: Metrics = field(init=False)
    front_metrics: FrontMetrics = field(init=False, default_factory=FrontMetrics)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.events, self.settings.node_name)

    @property
    def sessions(self) -> Sessions:
        """The browsers of this process. Raises `BadRequest` where there are none."""
        if self.own_sessions is None:
            raise BadRequest("this process has no browsers of its own")
        return self.own_sessions

    @property
    def admission(self) -> Admission:
        """Gives out the leases. Raises `BadRequest` if another process does."""
        if self.own_admission is None:
            front = self.settings.master_url or self.settings.node_url or "the node or master in front of it"
            raise BadRequest(f"this process gives out no leases: ask {front}")
        return self.own_admission

    @property
    def tier(self) -> Tier:
        """The part that knows all leases."""
        return self.overview or self.sessions

    async def is_ready(self) -> bool:
        """True if this process would give out a lease, provided that a slot is free."""
        parts = [part for part in (self.own_sessions, self.overview) if part is not None]
        return all([await part.is_ready() for part in parts])

    async def drain(self, part: str | None = None) -> None:
        """Stops new leases: of the whole service, or of one node or master. Raises `UnknownNode`."""
        await self.tier.set_draining(True, part or self._itself)

    async def undrain(self, part: str | None = None) -> None:
        """Allows new leases again. Raises `UnknownNode`."""
        await self.tier.set_draining(False, part or self._itself)

    async def drain_alone(self, draining: bool) -> None:
        """Drains or undrains this process, and a node's instances."""
        await self.tier.set_draining(draining, self.settings.url if self.overview else None)

    async def stop_giving(self) -> None:
        """Stops new leases before the process ends. A restart does not remember it."""
        if self.overview:
            self.overview.roster.stopping = True
            if not self.own_admission:
                await self.overview.stop_instances()
            with suppress(RegistryDown):
                await self.overview.roster.exchange()
        if self.own_sessions:
            await self.own_sessions.set_draining(True)

    async def at_stake(self) -> int:
        """Number of leases that the end of this process would break: 0 for a master beside others."""
        if self.own_sessions is None and self.own_admission and self.overview and self.overview.roster.has_others:
            return 0
        return len(await self.tier.sessions())

    @property
    def _itself(self) -> str | None:
        """The address of a node behind a master, else None: it gives out no leases, so its instances have to refuse."""
        return self.settings.url if self.overview and not self.own_admission else None


def service_of(request: Request) -> Service:
    """The service of the process that received the request."""
    return request.app.state.service


def key_of(settings: Settings) -> TierKey:
    """The configured key, or a random one for this process alone."""
    return TierKey(settings.tier_key.get_secret_value()) if settings.tier_key else TierKey.random()


def store_in_memory(settings: Settings, key: TierKey) -> LeaseStore:
    """The lease store of the only process that gives out its slots."""
    return InProcessStore(time.monotonic, key.sign, _limits(settings))


def store_in_redis(settings: Settings, key: TierKey) -> LeaseStore:
    """The lease store that several masters share. Raises `SettingsError`."""
    # Imported here: only a master with Redis needs its client, and every other start would wait for the import.
    from browser_service.leasing.redis_scripts import RedisScripts
    from browser_service.leasing.store_redis import RedisStore

    assert settings.redis_url is not None
    try:
        scripts = RedisScripts(
            settings.redis_url.get_secret_value(), REDIS_PREFIX, deadline_s=settings.redis_deadline_s
        )
    except ValueError as error:
        raise SettingsError(f"BROWSER_SERVICE_REDIS_URL is no address of a Redis: {error}") from None
    return RedisStore(scripts, key.sign, _limits(settings))


def _limits(settings: Settings) -> QueueLimits:
    return QueueLimits(total=settings.queue_limit, per_share=settings.queue_limit_per_share)


@asynccontextmanager
async def running_sessions(settings: Settings, key: TierKey, events: Events) -> AsyncGenerator[Sessions, None]:
    """Starts the browsers of this process and stops them at the end. Raises `LaunchError`."""
    with work_folder(settings) as workdir:
        async with (
            Fleet(settings, workdir, events) as fleet,
            Sessions(settings, fleet, key, events, time.monotonic) as sessions,
        ):
            yield sessions


@asynccontextmanager
async def running_service(settings: Settings) -> AsyncGenerator[Service, None]:
    """The whole service in this process: browsers, and admission in front of them. Raises `LaunchError`."""
    events, key = Events(), key_of(settings)
    async with running_sessions(settings, key, events) as sessions:
        here = Local(sessions)
        store = store_in_memory(settings, key)
        async with Overview(settings, store, lambda _: here, events, orders=orders_of(settings)) as overview:
            await overview.learn([sessions.report()])
            async with Reporter(lambda: [sessions.report()], overview.learn, settings.reap_interval_s) as reporter:
                sessions.on_change = reporter.hurry
                yield Service(
                    settings,
                    events,
                    key,
                    own_sessions=sessions,
                    overview=overview,
                    own_admission=Admission(overview, events),
                )
