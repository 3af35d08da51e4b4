"""Admission in front of instances that refuse, are slow or are gone, without any browser."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from real_service import free_port

from browser_service.api.front import NO_CAPACITY
from browser_service.errors import (
    BadRequest,
    BrowserCrashed,
    BrowserServiceError,
    DeadlineExceeded,
    Draining,
    EgressFailed,
    SlotTaken,
    Unreachable,
)
from browser_service.events import Event, Events
from browser_service.leasing.leases import Grant, InstanceReport, QueueLimits
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.tokens import TierKey
from browser_service.models import Lease, LeaseRequest
from browser_service.models.tiers import InstanceStatus
from browser_service.servers.master import create_front_app
from browser_service.settings import Settings
from browser_service.tiers import instances
from browser_service.tiers.admission import TRIES, Admission
from browser_service.tiers.instances import TIER_HEADER, Instance, remote_instances, tier_client
from browser_service.tiers.overview import Overview
from browser_service.tiers.service import Service

PLACE, NODE = "http://127.0.0.1:9000", "http://127.0.0.1:8080"
SETTINGS = Settings.model_validate({"launch_deadline_s": 0.4, "tier_key": "t" * 32})


class Scripted:
    """An instance that has a browser for every grant, or fails with always the same."""

    def __init__(self, failure: BrowserServiceError | None = None) -> None:
        self.failure = failure
        self.admitted: list[Grant] = []

    async def admit(self, grant: Grant) -> Lease:
        self.admitted.append(grant)
        if self.failure:
            raise self.failure
        return Lease(
            instance_id=f"{grant.lease_id}:9000",
            node=NODE,
            generation=grant.generation,
            token=grant.token,
            expires_in_s=60,
            viewport=grant.request.viewport,
        )

    async def end(self, lease_id: str) -> None:
        return

    async def status(self) -> InstanceStatus:
        return InstanceStatus(browser="Scripted", sessions=[])

    async def set_draining(self, draining: bool) -> None:
        return


@asynccontextmanager
async def fronted(
    instance_at: Callable[[str], Instance], url: str = PLACE
) -> AsyncGenerator[tuple[Service, httpx.AsyncClient], None]:
    """A front whose one instance has one slot, and a client of it."""
    key, events = TierKey.random(), Events()
    store = InProcessStore(time.monotonic, key.sign, QueueLimits())
    async with Overview(SETTINGS, store, instance_at, events) as overview:
        await overview.learn([InstanceReport(instance=url, node=NODE, capacity=1, ttl_s=600)])
        service = Service(
            SETTINGS, events, key, overview=overview, own_admission=Admission(overview, events), learn=overview.learn
        )
        app = create_front_app(SETTINGS, service)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            yield service, client


@pytest.mark.parametrize("kind", [BrowserCrashed, SlotTaken, Unreachable, DeadlineExceeded, EgressFailed])
async def test_whatever_breaks_with_us_is_no_capacity_to_an_old_client(kind: type[BrowserServiceError]) -> None:
    """WebGym asks again when it reads that, and gives the task up when it reads anything else."""
    instance = Scripted(kind("it broke"))
    async with fronted(lambda _: instance) as (_, client):
        old = await client.post("/get")
        assert (old.status_code, old.json()["detail"], old.json()["retryable"]) == (503, NO_CAPACITY, True)
        assert len(instance.admitted) == TRIES
        new = await client.post("/get", json={"wait_s": 1})
        assert (new.status_code, new.json()["code"]) == (kind.status, kind.code), "a new client hears what it was"


async def test_what_an_old_client_did_wrong_is_not_called_capacity() -> None:
    instance = Scripted(BadRequest("not like this"))
    async with fronted(lambda _: instance) as (_, client):
        refused = await client.post("/get")
        assert (refused.status_code, refused.json()["detail"]) == (422, "not like this") and len(instance.admitted) == 1


async def test_who_stands_in_line_gets_nothing_of_a_service_that_drains() -> None:
    instance, outcomes = Scripted(), list[str]()

    def note(event: Event) -> None:
        if event.kind == "queue":
            outcomes.append(event.fields["outcome"])

    async with fronted(lambda _: instance) as (service, _):
        service.events.listen(note)
        first = await service.admission.lease(LeaseRequest())
        waiting = asyncio.create_task(service.admission.lease(LeaseRequest(wait_s=600)))
        async with asyncio.timeout(60):
            while (await service.tier.status()).queue == 0:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            await service.drain()
            await service.tier.end_by_force(first.instance_id)
            with pytest.raises(Draining) as refused:
                await waiting
        assert refused.value.retryable and refused.value.retry_after_s
        assert len(instance.admitted) == 1 and outcomes == ["granted", "draining"]
        assert (await service.tier.status()).queue == 0
        await service.undrain()
        assert await service.admission.lease(LeaseRequest(wait_s=60)), "the slot is free again"


async def test_parts_of_a_newer_version_may_report_more_than_their_master_knows() -> None:
    async with fronted(lambda _: Scripted()) as (service, client):
        headers = {TIER_HEADER: "t" * 32}
        report = {"instance": "http://127.0.0.1:9001", "node": NODE, "capacity": 2, "ttl_s": 600, "era": "next"}
        reported = await client.post("/tier/report", json=[report], headers=headers)
        assert reported.status_code == 200 and (await service.tier.status()).nodes[0].capacity == 3
        refused = await client.post("/tier/report", json=[{**report, "capacity": -1}], headers=headers)
        assert refused.status_code == 422 and "capacity" in refused.json()["detail"]
        assert (await client.post("/get", json={"era": "next"})).status_code == 422, (
            "what a person writes is read strictly"
        )


async def test_an_instance_that_starts_slowly_keeps_its_other_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """They left the books once, and an old client's next call found no such node."""
    monkeypatch.setattr(instances, "GLANCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections wait there, and nobody answers
        port = silent.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with tier_client("key") as http, fronted(remote_instances(SETTINGS, http), url) as (service, client):
            began = time.monotonic()
            assert (await client.post("/get")).json()["detail"] == NO_CAPACITY
            waited = time.monotonic() - began
            assert waited > TRIES * SETTINGS.launch_deadline_s, "the instance says itself when Chromium does not start"
            assert service.overview and await service.overview.instance_of(f"somebody:{port}", NODE) == url
            assert await service.is_ready()


async def test_an_instance_that_is_not_there_is_given_nothing_more() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with tier_client("key") as http, fronted(remote_instances(SETTINGS, http), url) as (service, client):
        assert (await service.tier.status()).nodes
        refused = await client.post("/get", json={"wait_s": 0.2})
        assert refused.json()["code"] == "NO_CAPACITY"
        assert not any(node.healthy for node in (await service.tier.status()).nodes)
