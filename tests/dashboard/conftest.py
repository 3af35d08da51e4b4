"""Fixtures: a directory with one run, and clients of the application without a socket."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
from acting import client_of, make_service
from stored_run import write_run

from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.database.opening import open_database, sqlite_url


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A directory with the run `demo`."""
    write_run(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
async def client(runs: Path) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the viewer alone over `runs`."""
    transport = httpx.ASGITransport(create_app(runs))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8100") as http:
        yield http


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest version, to be copied: a migration takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "dashboard.db"
    open_database(sqlite_url(path)).close()
    return path


@pytest.fixture
def service(runs: Path, migrated: Path) -> Generator[Service]:
    """The parts of the routes, with an empty database."""
    made = make_service(runs, migrated)
    yield made
    made.database.close()


@pytest.fixture
async def acting(service: Service) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the whole application."""
    async with client_of(service) as http:
        yield http
