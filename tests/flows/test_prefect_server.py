"""Prefect's server goes on while an automation that was stored is loaded."""

import asyncio

import pytest
from prefect.server.events import triggers
from prefect.server.events.models import automations

from flows.services.prefect_server import load_automations_in_the_loop


async def test_an_automation_is_stored_while_the_loop_reconciles_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automations, "run_coro_as_sync", automations.run_coro_as_sync)  # put back at the end
    load_automations_in_the_loop()
    order: list[str] = []

    async def loading() -> None:
        async with triggers._automations_lock():
            order.append("loaded")

    async with triggers._automations_lock():
        automations.run_coro_as_sync(loading())  # as the listener of the commit calls it, in the loop's own thread
        await asyncio.sleep(0.05)
        order.append("reconciled")
    await asyncio.sleep(0.05)
    assert order == ["reconciled", "loaded"]
