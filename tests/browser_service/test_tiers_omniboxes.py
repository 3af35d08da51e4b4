"""Clients of the old wire format through the master: paths, keys, statuses and sentences as they know them."""

import json
from collections.abc import Generator
from io import BytesIO

import httpx
import pytest
from PIL import Image
from real_service import Site
from real_tiers import Deployment

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
