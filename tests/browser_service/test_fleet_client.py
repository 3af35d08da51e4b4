"""The client before masters that are frozen or stop, and before an address with a certificate of a private authority."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_fleet import CAPACITY, Fleet
from real_nginx import RealNginx, make_certificate
from real_service import SMALL, free_port
from real_tiers import cli, wait_until

from browser_service.client import BrowserPool, SyncBrowserPool
from browser_service.client.refusals import Untrusted
from browser_service.client.trust import trust
from browser_service.errors import NoCapacity, Unreachable
from browser_service.models import Observe, ObserveRequest

QUICK = ObserveRequest(screenshot=False, marks=False)
GENEROUS_S = 45.0
"""For a call with `wait_s=5` before a frozen master: it took 70 s."""


@contextmanager
def frozen_first(fleet: Fleet) -> Generator[str, None, None]:
    """The addresses of both masters, and the first is frozen."""
    fleet.make_whole()
    fleet.masters[0].send(signal.SIGSTOP)
    try:
        yield fleet.url
    finally:
        fleet.masters[0].send(signal.SIGCONT)
        fleet.make_whole()


@pytest.mark.browser
@pytest.mark.chaos
async def test_a_frozen_master_costs_a_moment_where_another_answers(fleet: Fleet) -> None:
    with frozen_first(fleet) as urls:
        began = time.monotonic()
        async with BrowserPool(urls) as pool, pool.lease(owner="patient", viewport=SMALL, wait_s=5) as browser:
            await browser.step(Observe(), QUICK)
            assert time.monotonic() - began < GENEROUS_S
            assert [node.healthy for node in (await pool.info()).nodes] == [True, True]
        with SyncBrowserPool(urls) as pool:
            assert len(pool.info().nodes) == 2, "calls that stand in no line go to the other as well"
        alone = BrowserPool(fleet.masters[0].url, patience_s=0.5)
        began = time.monotonic()
        async with alone:
            with pytest.raises(Unreachable, match="silent"):
                async with alone.lease(owner="nobody else", viewport=SMALL, wait_s=1):
                    pass
        assert time.monotonic() - began < GENEROUS_S


@pytest.mark.browser
async def test_a_dead_address_is_not_asked_first_again(fleet: Fleet) -> None:
    fleet.make_whole()
    async with BrowserPool(f"http://127.0.0.1:{free_port()}, {fleet.masters[1].url}/", patience_s=1) as pool:
        assert len((await pool.info()).nodes) == 2
        assert len((await pool.info()).nodes) == 2
        async with pool.batch(CAPACITY, owner="all", viewport=SMALL):
            with pytest.raises(NoCapacity):
                async with pool.lease(owner="late", viewport=SMALL, wait_s=0.2):
                    pass
    fleet.make_whole()


@pytest.mark.browser
async def test_who_stands_in_line_moves_on_from_a_master_that_stops(fleet: Fleet) -> None:
    fleet.make_whole()
    async with BrowserPool(fleet.url) as pool:
        async with pool.batch(CAPACITY, owner="all", viewport=SMALL):
            waiting = asyncio.create_task(leased(pool))
            await asyncio.to_thread(wait_until, lambda: fleet.info(1)["queue"] == 1, 20)
            await asyncio.to_thread(fleet.masters[0].end)
            await asyncio.to_thread(wait_until, lambda: fleet.info(1)["queue"] == 1, 20)
        assert await waiting in {node.url for node in fleet.nodes}
    fleet.masters[0].start()
    fleet.make_whole()


async def leased(pool: BrowserPool) -> str:
    async with pool.lease(owner="in line", viewport=SMALL, wait_s=60) as browser:
        return browser.lease.node


@pytest.mark.browser
async def test_a_private_authority_is_trusted_where_it_is_named(
    fleet: Fleet, nginx: RealNginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.make_whole()
    async with BrowserPool(nginx.url, ca_file=nginx.ca_file) as pool, pool.lease(owner="me", viewport=SMALL) as browser:
        await browser.step(Observe(), QUICK)
    with SyncBrowserPool(nginx.url, ca_file=nginx.ca_file) as pool, pool.lease(owner="me", viewport=SMALL) as leased:
        leased.step(Observe(), QUICK)
    began = time.monotonic()
    async with BrowserPool(nginx.url, patience_s=60) as pool:
        with pytest.raises(Untrusted, match="BROWSER_SERVICE_CA_FILE"):
            await pool.info()
    assert time.monotonic() - began < GENEROUS_S, "asking again changes nothing"
    reported = await asyncio.to_thread(run, "status", "--url", nginx.url, "--ca-file", str(nginx.ca_file))
    assert f"{fleet.masters[0].url}  up" in reported.stdout and f"{fleet.nodes[0].url}  healthy" in reported.stdout
    monkeypatch.setenv("BROWSER_SERVICE_CA_FILE", str(nginx.ca_file))
    with SyncBrowserPool(nginx.url) as pool:
        assert len(pool.info().fronts) == 2
    fleet.make_whole()


def test_an_authority_is_added_and_a_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    assert trust(None) is trust(None)
    assert len(trust(make_certificate(tmp_path)).get_ca_certs()) == len(trust(None).get_ca_certs()) + 1
    (tmp_path / "empty.pem").touch()
    for wrong in (tmp_path / "empty.pem", tmp_path / "k.pem", tmp_path / "none.pem"):
        with pytest.raises(ValueError, match="expected certificates in PEM format in") as refused:
            trust(wrong)
        assert str(wrong) in str(refused.value)
    ended = run("status", "--url", "https://localhost:1", "--ca-file", str(tmp_path / "none.pem"))
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1 and "none.pem" in ended.stderr


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(cli(*arguments), capture_output=True, text=True, timeout=60, check=False)
