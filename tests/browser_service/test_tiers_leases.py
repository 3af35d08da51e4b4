"""Leases through the tiers: given out by the master, used at the instance, queued fairly, all of a group or none."""

import json
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from real_service import Site
from real_tiers import SMALL, Deployment, wait_until

from browser_service.client import BrowserPool
from browser_service.models import Batch, ClickId, Lease, Problem, VisitPage

pytestmark = pytest.mark.browser


@pytest.fixture
def http(deployment: Deployment) -> Generator[httpx.Client, None, None]:
    """A client of the master; what a test leaves leased is ended."""
    deployment.wait_until_whole()
    with httpx.Client(base_url=deployment.url, timeout=60) as client:
        yield client
        for session in client.get("/sessions").json()["sessions"]:
            client.delete(f"/sessions/{session['instance_id']}")


def lease(http: httpx.Client, **wanted: Any) -> Lease:
    answer = http.post("/get", json={"viewport": SMALL, **wanted})
    assert answer.status_code == 200, answer.text
    return Lease.model_validate_json(answer.content)


def step(lease: Lease, step_id: int, **action: Any) -> dict[str, Any]:
    look = {"screenshot": False}
    return {
        "instance_id": lease.instance_id,
        "token": lease.token,
        "step_id": step_id,
        "action": action or {"kind": "observe"},
        "observe": look,
    }


def reference(lease: Lease) -> dict[str, str]:
    return {"instance_id": lease.instance_id, "token": lease.token}


def problem(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return Problem.model_validate_json(answer.content)


def test_a_lease_is_used_at_its_instance_or_through_the_master(http: httpx.Client, deployment: Deployment) -> None:
    mine, other = lease(http, owner="me"), lease(http, owner="other")
    assert mine.direct_url and mine.node in deployment.node_urls
    assert mine.direct_url.endswith(mine.instance_id.rpartition(":")[2])
    with httpx.Client(base_url=mine.direct_url, timeout=30) as direct:
        first = direct.post("/step", json=step(mine, 0)).raise_for_status()
        again = http.post("/step", json=step(mine, 0)).raise_for_status()
        assert first.content == again.content, "the same step, whichever way it comes"
        assert problem(direct.post("/step", json=step(mine, -1))).status == 422
        for stolen in ({**step(mine, 1), "token": other.token}, {**step(mine, 1), "token": mine.token[:-1] + "~"}):
            for way in (direct, http):
                refused = problem(way.post("/step", json=stolen))
                assert refused.status == 409 and refused.fault == "client"
                half = json.dumps({**stolen, "token": "aHR0cDo.1.1.\ud800"})
                as_json = {"content-type": "application/json"}
                assert problem(way.post("/step", content=half, headers=as_json)).code == "LEASE_MISMATCH"
        old = problem(direct.post("/step", json={**step(mine, 0), "step_id": 0, "token": ""}))
        assert old.code == "LEASE_MISMATCH"
        assert http.post("/renew", json=reference(mine)).json()["expires_in_s"] > 50
        for _ in range(2):
            assert direct.post("/release", json=reference(mine)).json() == {"status": "success"}
        gone = problem(http.post("/step", json=step(mine, 1)))
        assert (gone.status, gone.code, gone.session_state) == (404, "LEASE_NOT_FOUND", "lost")
    assert problem(http.post("/renew", json={"instance_id": "nobody:1", "token": "t"})).status == 404


async def test_the_client_of_one_process_works_unchanged_on_a_master(deployment: Deployment, site: Site) -> None:
    deployment.wait_until_whole()
    page = site.page("tiers", "<button onclick='document.title=\"clicked\"'>x</button>")
    async with BrowserPool(deployment.url) as pool, pool.lease(owner="client") as browser:
        await browser.step(VisitPage(url=page))
        assert (await browser.step(ClickId(id=1))).observation.title == "clicked"
        (status,) = [node for node in (await pool.info()).nodes if node.sessions]
        assert status.sessions[0].owner == "client" and status.sessions[0].url == page


def test_a_repeated_request_gets_the_same_lease_and_a_void_one_nothing(http: httpx.Client) -> None:
    first, again = lease(http, idempotency_key="once"), lease(http, idempotency_key="once")
    assert first.instance_id == again.instance_id and first.token == again.token
    http.post("/release", json={"idempotency_key": "once"}).raise_for_status()
    wait_until(lambda: not http.get("/sessions").json()["sessions"], 5)
    assert problem(http.post("/step", json=step(first, 0))).session_state == "lost"


def test_a_group_gets_all_of_its_leases_or_none(http: httpx.Client) -> None:
    answer = http.post("/batch_get", json={"count": 4, "lease": {"viewport": SMALL, "owner": "group"}})
    group = Batch.model_validate_json(answer.content).leases
    assert len({each.instance_id for each in group}) == 4 and len({each.node for each in group}) == 2
    http.post("/release", json=reference(group[0])).raise_for_status()
    refused = http.post("/batch_get", json={"count": 2, "lease": {"viewport": SMALL, "wait_s": 0.3}})
    assert problem(refused).code == "NO_CAPACITY" and int(refused.headers["retry-after"]) >= 1
    assert lease(http, wait_s=30), "what a refused group would have got is free"
    too_many = http.post("/batch_get", json={"count": 1_000, "lease": {}})
    assert problem(too_many).status == 422


def ask(deployment: Deployment, share: str, names: list[str], lock: threading.Lock) -> None:
    """Asks for a lease, notes whose turn it was, and gives it back."""
    with httpx.Client(base_url=deployment.url, timeout=60) as http:
        got = lease(http, share=share, wait_s=30)
        with lock:
            names.append(share)
        http.post("/release", json=reference(got)).raise_for_status()


def test_a_free_slot_goes_to_the_share_that_holds_least(http: httpx.Client, deployment: Deployment) -> None:
    held = [lease(http, share="greedy") for _ in range(4)]
    turns, lock = list[str](), threading.Lock()
    with ThreadPoolExecutor(3) as pool:
        asking: list[Future[None]] = []
        for position, share in enumerate(("greedy", "greedy", "modest")):
            asking.append(pool.submit(ask, deployment, share, turns, lock))
            wait_until(lambda waiting=position + 1: http.get("/info").json()["queue"] == waiting, 10)
        http.post("/release", json=reference(held[0])).raise_for_status()
        for each in asking:
            each.result(30)
    assert turns[0] == "modest" and sorted(turns) == ["greedy", "greedy", "modest"]


def test_who_went_away_while_waiting_gets_no_slot(http: httpx.Client, deployment: Deployment) -> None:
    held = [lease(http) for _ in range(4)]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{deployment.url}/get", json={"wait_s": 60, "owner": "gone"}, timeout=0.5)
    http.post("/release", json=reference(held[0])).raise_for_status()
    next_one = lease(http, wait_s=60, owner="next")
    assert "gone" not in {each["owner"] for each in http.get("/sessions").json()["sessions"]}
    assert http.get("/info").json()["queue"] == 0
    assert next_one


@pytest.mark.parametrize("wrong", [{"sites": ["a..b"]}, {"sites": ["shop.test:99999"]}, {"blocked_hosts": ["[::1"]}])
def test_hosts_that_are_none_are_refused_before_anybody_waits(http: httpx.Client, wrong: dict[str, Any]) -> None:
    held = [lease(http) for _ in range(4)]
    for path, body in (
        ("/get", {**wrong, "wait_s": 60}),
        ("/batch_get", {"count": 2, "lease": {**wrong, "wait_s": 60}}),
    ):
        refused = problem(http.post(path, json=body, timeout=30))
        assert (refused.status, refused.code, refused.fault, refused.retryable) == (422, "BAD_REQUEST", "client", False)
        assert "sites or blocked_hosts" in refused.detail
    assert {each["instance_id"] for each in http.get("/sessions").json()["sessions"]} == {e.instance_id for e in held}


def test_a_full_queue_and_a_wait_in_vain_say_when_to_come_back(http: httpx.Client, deployment: Deployment) -> None:
    for _ in range(4):
        lease(http)
    began = time.monotonic()
    refused = http.post("/get", json={"wait_s": 0.5})
    assert problem(refused).code == "NO_CAPACITY" and refused.status_code == 503
    assert 0.4 < time.monotonic() - began < 30 and int(refused.headers["retry-after"]) >= 1
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(httpx.post, f"{deployment.url}/get", json={"wait_s": 2}, timeout=30) for _ in range(3)]
        wait_until(lambda: http.get("/info").json()["queue"] == 3, 10)
        full = http.post("/get", json={"wait_s": 2})
        assert full.status_code == 429 and int(full.headers["retry-after"]) >= 1
        assert problem(full).code == "RATE_LIMITED" and problem(full).retryable
        assert {each.result().status_code for each in waiting} == {503}


def test_a_drained_node_empties_and_the_other_goes_on(http: httpx.Client, deployment: Deployment) -> None:
    first, second = deployment.node_urls
    running = [lease(http) for _ in range(2)]
    http.post("/drain", params={"node": first}).raise_for_status()
    wait_until(lambda: {n["url"]: n["draining"] for n in http.get("/info").json()["nodes"]}[first], 5)
    for each in running:
        http.post("/step", json=step(each, 0)).raise_for_status()
    on_second = sum(each.node == second for each in running)
    for _ in range(2 - on_second):
        assert lease(http).node == second
    assert problem(http.post("/get", json={"wait_s": 0.2})).code == "NO_CAPACITY"
    assert httpx.get(f"{first}/readyz").status_code == 503
    http.post("/undrain", params={"node": first}).raise_for_status()
    assert lease(http, wait_s=60).node == first
    assert problem(http.post("/drain", params={"node": "http://elsewhere"})).status == 400
    assert problem(httpx.post(f"{first}/tier/drain")).status == 401

    http.post("/drain").raise_for_status()
    refused = http.post("/get", json={"wait_s": 5})
    assert problem(refused).code == "DRAINING" and int(refused.headers["retry-after"]) >= 1
    assert http.get("/readyz").status_code == 503
    http.post("/step", json=step(running[0], 1)).raise_for_status()
    http.post("/undrain").raise_for_status()


def test_any_session_can_be_looked_up_and_ended(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http, owner="stuck", share="team")
    assert mine.direct_url
    for url in (deployment.url, mine.node, mine.direct_url):
        shown = httpx.get(f"{url}/sessions/{mine.instance_id}").json()
        assert shown["owner"] == "stuck" and shown["share"] == "team" and shown["slot"].startswith(mine.direct_url)
        assert mine.token not in httpx.get(f"{url}/sessions").text
    http.post("/step", json=step(mine, 0)).raise_for_status()
    assert http.get(f"/sessions/{mine.instance_id}").json()["steps"] == 1
    assert http.delete(f"/sessions/{mine.instance_id}").json() == {"status": "success"}
    ended = problem(http.post("/step", json=step(mine, 1)))
    assert ended.code == "LEASE_NOT_FOUND" and ended.session_state == "lost"
    assert problem(http.delete(f"/sessions/{mine.instance_id}")).status == 404


def test_the_routes_between_tiers_want_the_tier_key(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http)
    assert mine.direct_url
    goodbye = [{"instance": mine.direct_url, "node": mine.node, "capacity": 2, "healthy": False, "ttl_s": 0}]
    for url in (deployment.url, mine.node):
        for headers in ({}, {"x-tier-key": "guess"}, {"x-tier-key": mine.token}):
            assert problem(httpx.post(f"{url}/tier/report", json=goodbye, headers=headers)).status == 401
    assert problem(httpx.post(f"{mine.direct_url}/tier/end", json={"lease_id": "x"})).status == 401
    assert httpx.get(f"{mine.direct_url}/tier/status").status_code == 401
    http.post("/step", json=step(mine, 0)).raise_for_status()
    assert httpx.post(f"{mine.direct_url}/get", json={}).status_code == 404, "an instance gives out nothing itself"
    behind = problem(httpx.post(f"{mine.node}/get", json={}))
    assert deployment.url in behind.detail


def test_every_tier_says_how_it_is_and_what_it_understands(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http)
    assert mine.direct_url
    for url in (deployment.url, mine.node, mine.direct_url):
        assert httpx.get(f"{url}/healthz").json() == {"status": "success"}
        assert httpx.get(f"{url}/readyz").json() == {"ready": True}
        info = httpx.get(f"{url}/info").json()
        assert "Chromium" in info["browser"] and any(node["sessions"] for node in info["nodes"])
        for path, methods in httpx.get(f"{url}/openapi.json").json()["paths"].items():
            for method, route in methods.items():
                assert route["responses"]["200"].get("content"), f"{method} {path} does not say what it answers"
                if method == "post" and path not in ("/reset", "/drain", "/undrain", "/tier/drain", "/tier/undrain"):
                    assert route["requestBody"]["content"]["application/json"]["schema"], path
