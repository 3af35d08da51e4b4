"""Fixtures: a directory with one run, and a client of the application without a socket."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from stored_run import write_run

from dashboard.app import create_app


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A directory with the run `demo`."""
    write_run(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
async def client(runs: Path) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the application over `runs`."""
    transport = httpx.ASGITransport(create_app(runs))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8100") as http:
        yield http
