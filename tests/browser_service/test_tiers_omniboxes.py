"""Clients of the old wire format through the master: paths, keys, statuses and sentences as they know them."""

import asyncio
import json
import time
from collections.abc import Generator
from io import BytesIO

import httpx
import pytest
from PIL import Image
from real_service import Site, free_port
from real_tiers import Deployment
from starlette.applications import Starlette

from browser_service.events import Events
from browser_service.leasing.leases import InstanceReport, QueueLimits
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.tokens import TierKey
from browser_service.servers.forwarding import Forwarding
from browser_service.settings import Settings
from browser_service.tiers.instances import keep_alive_client, remote_instances
from browser_service.tiers.overview import Overview

pytestmark = pytest.mark.browser


@pytest.fixture
def http(deployment: Deployment) -> Generator[httpx.Client, None, None]:
    """A client of the master, with connections like those of `requests` without a session."""
    deployment.wait_until_whole()
    with httpx.Client(base_url=deployment.url, timeout=90, headers={"connection": "close"}) as client:
        yield client
        for session in client.get("/sessions").json()["sessions"]:
            client.delete(f"/sessions/{session['instance_id']}")


def test_an_episode_through_the_master(http: httpx.Client, deployment: Deployment, site: Site) -> None:
    start = site.page("old", "<a href=/old>again</a>", title="Old")
    assert http.get("/info").json()["nodes"][0].keys() >= {
        "url",
        "hash",
        "healthy",
        "capacity",
        "available",
        "instances",
    }
    granted = http.post("/get", params={"lifetime_mins": 45})
    instance = granted.json()
    assert granted.content == json.dumps(instance, separators=(",", ":")).encode()
    assert list(instance) == ["instance_id", "node"] and instance["node"] in deployment.node_urls
    listed = next(node for node in http.get("/info").json()["nodes"] if node["url"] == instance["node"])
    assert listed["instances"] == [instance["instance_id"]] and listed["hash"] == instance["node"]

    went = http.post("/execute", json={"visit_page": {"url": start}, **instance})
    assert (went.status_code, went.content) == (200, b'{"status":"success"}')
    size = http.get("/metadata", params=instance).json()
    assert size == {"width": 1280, "height": 768, "title": "Old", "url": start}
    for mode in ("coordinates", "set_of_marks"):
        shot = http.get("/screenshot", params={**instance, "interaction_mode": mode})
        assert shot.headers["content-type"] == "image/png" and int(shot.headers["content-length"]) == len(shot.content)
        assert Image.open(BytesIO(shot.content)).size == (1280, 768)
    clicked = http.post("/execute", json={"click_id": {"id": 1}, **instance})
    assert clicked.content == b'{"status":"success"}'
    assert http.get("/probe", params=instance).content == b'{"status":"success","message":"Probe successful"}'
    assert http.post("/reset", params=instance).content == b'{"status":"success"}'

    again = http.post("/reset", params=instance)
    assert again.status_code == 404 and "Instance not in use or already released" in again.text
    assert "instance not found" in again.text.lower()
    gone = http.get("/screenshot", params=instance)
    assert gone.status_code == 404 and "image" not in gone.headers["content-type"]


def test_what_is_refused_has_the_old_statuses_and_sentences(http: httpx.Client) -> None:
    instance = http.post("/get").json()
    wrong = http.post("/reset", params={**instance, "node": "somewhere"})
    assert wrong.status_code == 400 and wrong.json()["detail"] == "Node somewhere is not found"
    for path in ("/screenshot", "/metadata", "/probe"):
        assert http.get(path, params={**instance, "node": "somewhere"}).status_code == 400
        assert http.get(path, params={"node": instance["node"]}).status_code == 422
        unknown = http.get(path, params={"instance_id": f"nobody:{instance['instance_id'].split(':')[1]}"})
        assert unknown.status_code == 404
    both = http.post("/execute", json={**instance, "back": {}, "reload": {}})
    assert both.status_code == 422 and "Only one command per request is supported" in both.text
    missing = http.post("/execute", json={**instance, "click_id": {"id": 99}})
    assert missing.status_code == 400 and missing.json()["status"] == "error"
    assert http.post("/execute", json={"back": {}}).status_code == 422
    assert http.post("/execute", content=b"{", headers={"content-type": "application/json"}).status_code == 422


def test_whatever_fails_at_execute_says_so_in_the_old_words(http: httpx.Client, deployment: Deployment) -> None:
    """An old client reads the status, and shows the message: both come first, as OmniBoxes writes them."""
    instance = http.post("/get").json()
    port = instance["instance_id"].rpartition(":")[2]
    other = http.post("/get", json={}).json()
    failed = b'{"status":"error","message":"Failed to execute command: '
    for body, status, words in (
        ({"dance": {}}, 422, b"Unsupported command: dance; known are back, "),
        ({}, 422, b"Unsupported command: none; known are "),
        ({"back": {}, "reload": {}}, 422, b"Only one command per request is supported, found back, reload"),
        ({"click_id": {"id": 42}}, 400, b"Element with identifier 42 not found or not visible: "),
        ({"click_coords": {"x": "left", "y": 1}}, 422, b"click_coords.click_coords.x: "),
        ({"visit_page": {"url": "file:///etc/passwd"}}, 400, b"'file:///etc/passwd' can't be visited: "),
        ({"back": {}, "node": "somewhere"}, 400, b"Node somewhere is not found"),
        ({"back": {}, "instance_id": f"nobody:{port}"}, 404, b"instance not found: "),
        (
            {"back": {}, "instance_id": other["instance_id"], "node": other["node"]},
            409,
            b"the token is not that of lease",
        ),
        ({"back": {}, "instance_id": 7}, 422, b"instance_id, token and node must be strings"),
    ):
        answer = http.post("/execute", json={**instance, **body})
        assert answer.status_code == status, answer.text
        assert answer.content.startswith(failed + words), answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.json().keys() >= {"detail", "code", "fault"}
    broken = http.post("/execute", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 422 and broken.content.startswith(failed + b"the body is no JSON: ")
    http.post("/reset", params=instance).raise_for_status()
    over = http.post("/execute", json={"back": {}, **instance})
    assert over.status_code == 404 and over.content.startswith(failed + b"instance not found: ")
    assert over.json()["session_state"] == "lost"


def test_what_can_not_be_seen_fails_in_the_words_of_omniboxes(http: httpx.Client, deployment: Deployment) -> None:
    """OmniBoxes says the same sentence of a screenshot and of metadata."""
    instance = http.post("/get").json()
    port = instance["instance_id"].rpartition(":")[2]
    other = http.post("/get", json={}).json()
    failed = b'{"status":"error","message":"Failed to get screenshot: '
    for path in ("/screenshot", "/metadata"):
        for wrong, status, code, words in (
            ({"node": "somewhere"}, 400, "UNKNOWN_NODE", b"Node somewhere is not found"),
            ({"instance_id": f"nobody:{port}"}, 404, "LEASE_NOT_FOUND", b"instance not found: "),
            ({"instance_id": other["instance_id"], "node": other["node"]}, 409, "LEASE_MISMATCH", b"the token is not"),
        ):
            answer = http.get(path, params={**instance, **wrong})
            assert answer.status_code == status and answer.content.startswith(failed + words), answer.text
            said = answer.json()
            assert answer.headers["content-type"] == "application/json"
            assert said["code"] == code and said["fault"] == "client" and said["retryable"] is False and said["detail"]
        unsaid = http.get(path, params={"node": instance["node"]})
        assert unsaid.status_code == 422 and unsaid.content.startswith(failed)


async def test_an_instance_out_of_reach_is_asked_again_by_old_clients() -> None:
    """They take a picture again if the answer has the word Connection in it, and drop the task if not."""
    port, key = free_port(), TierKey.random()
    report = InstanceReport(instance=f"http://127.0.0.1:{port}", node="http://127.0.0.1:1", capacity=1, ttl_s=600)
    store = InProcessStore(time.monotonic, key.sign, QueueLimits())
    async with (
        keep_alive_client() as http,
        Overview(Settings(), store, remote_instances(Settings(), http), Events()) as overview,
    ):
        front = Forwarding(Starlette(), overview=overview, key=key, http=http, paths=["/screenshot"], deadline_s=20)
        transport = httpx.ASGITransport(front)
        async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
            await overview.learn([report])
            wanted = {"instance_id": f"somebody:{port}"}
            away = gone = await client.get("/screenshot", params=wanted)
            await overview.learn([report.model_copy(update={"ttl_s": 0, "healthy": False})])
            async with asyncio.timeout(60):
                while gone.status_code != 502:
                    gone = await client.get("/screenshot", params=wanted)
    assert away.status_code == 503 and "Connection" in away.text and away.json()["retryable"]
    assert "Connection" not in gone.text and "instance not found" in gone.text
    assert gone.json()["fault"] == "infra", "not the client's"


def test_an_old_client_without_capacity_waits_and_then_hears_the_sentence(deployment: Deployment) -> None:
    """Its queue is held by the master; nothing but the sentence tells it to come back."""
    deployment.wait_until_whole()
    with httpx.Client(base_url=deployment.url, timeout=90) as http:
        held = [http.post("/get").json() for _ in range(4)]
        with pytest.raises(httpx.ReadTimeout):
            http.post("/get", timeout=0.7)
        http.post("/drain").raise_for_status()
        draining = http.post("/get")
        assert draining.status_code == 503
        assert draining.json()["detail"] == "No available nodes with capacity to create new instance"
        http.post("/undrain").raise_for_status()
        for instance in held:
            http.post("/reset", params=instance).raise_for_status()
