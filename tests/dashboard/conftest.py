"""Fixtures: a directory with one run, and clients of the application without a socket."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
from acting import POSTGRESQL, SQLITE, client_of, empty, make_service
from fastapi import FastAPI
from stored_run import write_run

from dashboard.api.service import Service
from dashboard.app import create_app
from environments.providers.postgres.cluster import PORT, Cluster


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


@pytest.fixture(scope="session", params=[SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.chaos)])
def database(request: pytest.FixtureRequest) -> Generator[dict[str, str]]:
    """Settings of a database: SQLite's default file, and in `make chaos` an empty one of a PostgreSQL server too."""
    if request.param == SQLITE:
        yield {}
        return
    with asyncio.Runner() as runner:
        server = Cluster()
        runner.run(server.__aenter__())
        yield {"database": f"postgresql+psycopg://postgres@/postgres?host={server.folder}&port={PORT}"}
        runner.run(server.__aexit__())


@pytest.fixture(scope="session")
def application(
    database: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Service, FastAPI]]:
    """The whole application, made once: FastAPI takes longer for its routes than most tests take."""
    service = make_service(tmp_path_factory.mktemp("dashboard") / "runs", **database)
    yield service, create_app(service.settings.runs, service)
    service.database.close()


@pytest.fixture
def service(application: tuple[Service, FastAPI]) -> Service:
    """The parts of the routes, with an empty database and the run `demo` alone."""
    service, _ = application
    empty(service)
    write_run(service.settings.runs)
    return service


@pytest.fixture
async def acting(service: Service, application: tuple[Service, FastAPI]) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the whole application."""
    async with client_of(application[1]) as http:
        yield http
