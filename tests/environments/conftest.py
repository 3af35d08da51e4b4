"""One browser service and one MiniWoB++ environment for all tests that look at real pages."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest_asyncio

from browser_service.client import Browser, BrowserPool
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.miniwob import MiniWob
from environments.web import serving

LANES = 4
"""Browsers that a test may use side by side."""


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def miniwob() -> AsyncGenerator[MiniWob]:
    """The running environment."""
    async with MiniWob() as environment:
        yield environment


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browsers(miniwob: MiniWob) -> AsyncGenerator[list[Browser]]:
    """Leased browsers with the environment's viewport."""
    settings = Settings(slots=LANES, egress_sites=("127.0.0.1:*",))
    async with (
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        BrowserPool(url) as client,
        AsyncExitStack() as leases,
    ):
        yield [
            await leases.enter_async_context(client.lease(owner=f"lane {lane}", viewport=miniwob.viewport, ttl_s=120))
            for lane in range(LANES)
        ]
