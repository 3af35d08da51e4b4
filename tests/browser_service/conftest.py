"""Fixtures: one service and one site per module, a client and a leased browser per test."""

import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import pytest
from eventually import wait_until
from hostile_site import running_hostile_site
from hostile_traps import Bystander, Bystanders
from real_fleet import Fleet, running_fleet
from real_nginx import RealNginx, running_nginx
from real_service import SMALL, Site, running_service, running_site
from real_tiers import Deployment, running_deployment
from shared import FLEET, TIERS, shared_by

from browser_service.client import Browser, BrowserPool
from browser_service.client.sync import SyncBrowserPool
from browser_service.settings import Settings


@pytest.fixture(scope="module")
def site() -> Generator[Site, None, None]:
    """One site per module."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """One service per module, with deadlines short enough for tests."""
    with running_service(slots=3, navigation_deadline_s=5, settle_cap_s=1) as settings:
        yield settings


@pytest.fixture
async def pool(service: Settings) -> AsyncGenerator[BrowserPool, None]:
    """A client of the service."""
    async with BrowserPool(service.url) as client:
        yield client


@pytest.fixture
async def browser(pool: BrowserPool, request: pytest.FixtureRequest) -> AsyncGenerator[Browser, None]:
    """A leased browser with a small viewport."""
    async with pool.lease(owner=request.node.name, viewport=SMALL) as leased:
        yield leased


@pytest.fixture(scope="module")
def hostile() -> Generator[Site, None, None]:
    """One site that means no good per module."""
    with running_hostile_site() as running:
        yield running


@pytest.fixture(scope="module")
def traps_pool(service: Settings) -> Generator[SyncBrowserPool, None, None]:
    """A client that outlives the tests of a module."""
    with SyncBrowserPool(service.url) as client:
        yield client


@pytest.fixture(scope="module")
def bystanders(traps_pool: SyncBrowserPool, hostile: Site) -> Generator[Bystanders, None, None]:
    """The session that is open beside all traps of a module, and its successor after a trap that did harm."""
    with Bystanders(traps_pool, hostile) as bystanders:
        yield bystanders


@pytest.fixture
def bystander(bystanders: Bystanders) -> Bystander:
    """A session that is open beside a trap."""
    return bystanders.standing()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until something becomes true."""

    def wait(condition: Callable[[], bool]) -> None:
        wait_until(condition)

    return wait


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    """Master, two nodes and their instances, for all tests of the tiers; each leaves it whole."""
    limits = {"BROWSER_SERVICE_QUEUE_LIMIT": "3", "BROWSER_SERVICE_QUEUE_LIMIT_PER_SHARE": "3"}
    return shared_by(TIERS, "deployment", lambda: running_deployment(**limits))


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Two masters with one Redis, and two nodes; each test leaves it whole."""
    return shared_by(FLEET, "fleet", running_fleet)


@pytest.fixture(scope="module")
def nginx(fleet: Fleet) -> RealNginx:
    """nginx before both masters of the fleet."""
    masters = [master.url.removeprefix("http://") for master in fleet.masters]
    return shared_by(FLEET, "nginx", lambda: running_nginx(masters))


@pytest.fixture
def short_folder() -> Generator[Path, None, None]:
    """A state folder whose path leaves room for Chromium's sockets in it, and whose browsers may be another user's."""
    with tempfile.TemporaryDirectory(prefix="bs-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="module")
def other() -> Generator[Site, None, None]:
    """A second site: another port, so another origin."""
    with running_site() as running:
        yield running
