"""Periodic work goes on after a failure."""

import asyncio
import logging

import psutil
import pytest
from eventually import until

from browser_service import background as background_module
from browser_service.background import Background, every
from browser_service.chromium import orphans
from browser_service.events import Events
from browser_service.leasing.leases import HeldLease, InstanceReport, QueueLimits
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.tokens import TierKey
from browser_service.settings import Settings
from browser_service.tiers.instances import Instance
from browser_service.tiers.overview import Overview
from browser_service.tiers.reporter import Reporter

REPORT = InstanceReport(instance="http://127.0.0.1:1", node="http://127.0.0.1:2", capacity=1)


async def test_work_is_done_again_after_a_failure_which_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    done = 0

    async def work() -> None:
        nonlocal done
        done += 1
        if done in (1, 2, 3, 5):
            raise OSError("the disk is full")

    background = Background()
    with caplog.at_level(logging.ERROR):
        background.start(every(0.001, work))
        await until(lambda: done > 6)
        await background.cancel()
    assert len(caplog.records) == 2, "once for the first three, and once more after it had worked"
    assert "the disk is full" in caplog.text


async def test_what_swallows_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_module, "CANCEL_AGAIN_S", 0.05)
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    background = Background()
    task = background.start(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await background.cancel()
    assert task.cancelled() and swallowed == 2


async def test_a_reporter_reports_again_after_a_failure() -> None:
    sent: list[InstanceReport] = []
    failures = ["making it", "sending it"]

    def reports() -> list[InstanceReport]:
        if len(failures) == 2:
            raise KeyError(failures.pop())
        return [REPORT]

    async def send(reports: list[InstanceReport]) -> None:
        if failures:
            raise ValueError(failures.pop())
        sent.extend(reports)

    async with Reporter(reports, send, interval_s=0.01):
        await until(lambda: sent)


async def test_a_front_reaps_again_after_a_failure() -> None:
    class Failing(InProcessStore):
        reaped = 0

        async def reap(self) -> list[HeldLease]:
            self.reaped += 1
            if self.reaped == 1:
                raise UnicodeError("odd")
            return await super().reap()

    def nowhere(url: str) -> Instance:
        raise AssertionError(url)

    store = Failing(asyncio.get_running_loop().time, TierKey.random().sign, QueueLimits())
    async with Overview(Settings(reap_interval_s=0.01), store, nowhere, Events()) as overview:
        await store.report(REPORT)
        await until(lambda: overview.knows(REPORT.instance))
    assert store.reaped > 1


def test_a_dead_child_that_was_collected_meanwhile_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(psutil.Process):
        def status(self) -> str:
            return psutil.STATUS_ZOMBIE

        def name(self) -> str:
            raise psutil.NoSuchProcess(self.pid)

    monkeypatch.setattr(psutil.Process, "children", lambda self: [Gone()])
    assert orphans.zombies() == 1 and orphans.bury() == 0
