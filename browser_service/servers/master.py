"""The FastAPI application in front of instances: admission, routing, compatibility. A master consists of this alone.

/get, /batch_get -> queue -> an instance admits -> Lease with the instance's own address (`direct_url`)
calls on a lease -> forwarded to its instance, for clients that don't call it directly
/tier/report     <- the leases that the instances hold
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from browser_service.api import front as front_api
from browser_service.api import tier as tier_api
from browser_service.events import Events
from browser_service.servers.forwarding import Forwarding
from browser_service.servers.instance import ON_A_LEASE, bare_app
from browser_service.settings import Settings
from browser_service.tiers.admission import Admission
from browser_service.tiers.instances import keep_alive_client, remote_instances, tier_client
from browser_service.tiers.orders import orders_of
from browser_service.tiers.overview import Overview
from browser_service.tiers.service import Service, key_of, store_in_memory, store_in_redis

# A master that starts waits for so many report intervals before it gives out the first slot.
REPORTS_BEFORE_OPENING = 2.5


@asynccontextmanager
async def running_front(settings: Settings) -> AsyncGenerator[Service, None]:
    """Admission in front of the instances that report to it."""
    events, key = Events(), key_of(settings)
    # Redis keeps the grants of an earlier master; memory does not, so the instances have to report theirs first.
    if settings.redis_url:
        store, opens_after_s = store_in_redis(settings, key), 0.0
    else:
        store, opens_after_s = store_in_memory(settings, key), REPORTS_BEFORE_OPENING * settings.report_interval_s
    async with (
        tier_client(key.value) as http,
        Overview(
            settings,
            store,
            remote_instances(settings, http),
            events,
            opens_after_s=opens_after_s,
            orders=orders_of(settings),
        ) as overview,
    ):
        admission = Admission(overview, events)
        yield Service(settings, events, key, overview=overview, own_admission=admission, learn=overview.learn)


def create_front_app(settings: Settings, service: Service) -> FastAPI:
    """The application of a master or a node. It has an instance's routes on a lease, and forwards their calls there."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        app.state.service = service
        async with http:
            yield

    http: httpx.AsyncClient = keep_alive_client()
    assert service.overview is not None, "a front knows its instances"
    forwarding = Middleware(
        Forwarding,
        overview=service.overview,
        key=service.key,
        http=http,
        paths=[route.path for router in ON_A_LEASE for route in router.routes if isinstance(route, APIRoute)],
        deadline_s=settings.forward_deadline_s,
    )
    app = bare_app(settings, lifespan, forwarding)
    app.include_router(front_api.router)
    for router in ON_A_LEASE:
        app.include_router(router)
    app.include_router(tier_api.front_router)
    return app
