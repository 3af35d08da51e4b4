"""The service as its operator sees it: what is up, what is down and since when, what drains, what was lost."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from real_fleet import CAPACITY, Fleet, Part, is_up, total
from real_tiers import SMALL, wait_until

from browser_service.models import PoolStatus

pytestmark = pytest.mark.browser

LOST = 'how="lost"'
SOON_S = 30
"""A few seconds on an idle machine."""


@pytest.fixture(autouse=True)
def whole(fleet: Fleet) -> Generator[None, None, None]:
    fleet.make_whole()
    yield
    fleet.make_whole()


@contextmanager
def frozen(part: Part) -> Generator[None, None, None]:
    """Meanwhile neither the process nor those below it do anything."""
    pids = part.pids()
    part.send_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        part.send_all(pids, signal.SIGCONT)


def is_ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz", timeout=10).status_code == 200


def post(url: str, path: str, **params: str) -> httpx.Response:
    return httpx.post(f"{url}{path}", params=params, timeout=30)


def get(url: str, **wanted: Any) -> httpx.Response:
    return httpx.post(f"{url}/get", json={"viewport": SMALL, "wait_s": 0, **wanted}, timeout=60)


def old_lease(fleet: Fleet, node: str) -> dict[str, str]:
    """A lease without a token on this node, and no other one."""
    others = list[dict[str, str]]()
    while True:
        old = httpx.post(f"{fleet.masters[0].url}/get", timeout=60).raise_for_status().json()
        if old["node"] == node:
            break
        others.append(old)
    for other in others:
        post(fleet.masters[0].url, "/reset", **other).raise_for_status()
    return old


def test_without_redis_no_master_is_ready_and_its_log_says_so_once(fleet: Fleet) -> None:
    assert all(is_ready(master.url) for master in fleet.masters)
    before = [master.log.read_text().count("the store of leases is down") for master in fleet.masters]
    fleet.redis.kill()
    try:
        for master in fleet.masters:
            assert not is_ready(master.url), "no lease can be given out"
            assert httpx.get(f"{master.url}/giving", timeout=10).status_code == 404
            assert httpx.get(f"{master.url}/healthz", timeout=10).status_code == 200, "the process is well"
            metrics = httpx.get(f"{master.url}/metrics", timeout=10).text
            assert "browser_service_registry_up 0.0" in metrics and "queue_depth" not in metrics, "it knows of no queue"

        def complaints() -> list[int]:
            return [master.log.read_text().count("the store of leases is down") for master in fleet.masters]

        wait_until(lambda: all(now > then for now, then in zip(complaints(), before, strict=True)), SOON_S)
        reported = complaints()
        for _ in range(20):  # of its half second each looks again
            is_ready(fleet.masters[0].url)
        assert complaints() == reported == [count + 1 for count in before]
    finally:
        fleet.redis.start()
    wait_until(lambda: all(is_ready(master.url) for master in fleet.masters), SOON_S)


def test_a_dead_node_is_shown_as_down_and_comes_back_as_it_was(fleet: Fleet) -> None:
    dead, alive = fleet.nodes
    old = old_lease(fleet, dead.url)
    before = total(fleet.metrics(), "leases_ended_total", LOST)
    post(fleet.masters[0].url, "/drain", node=dead.url).raise_for_status()
    dead.end(signal.SIGKILL)
    assert not any(fleet.node(dead.url, number).get("healthy") for number in (0, 1)), "not for a moment"
    wait_until(lambda: all(fleet.node(dead.url, number).get("down_for_s") for number in (0, 1)), SOON_S)
    shown = fleet.node(dead.url)
    assert (shown["healthy"], shown["available"], shown["capacity"]) == (False, 0, CAPACITY // 2)
    wait_until(lambda: fleet.node(dead.url)["down_for_s"] > shown["down_for_s"], SOON_S)
    assert fleet.node(alive.url)["healthy"] and fleet.node(alive.url)["down_for_s"] is None
    reported = fleet.metrics(without=dead)
    assert total(reported, "nodes_down") == 1 and total(reported, "node_up", dead.url) == 0 < total(
        reported, "node_up", alive.url
    )
    for master in fleet.masters:  # without a token: what became of the lease nobody knows
        away = httpx.get(f"{master.url}/metadata", params=old, timeout=30)
        assert (away.status_code, away.json()["fault"], away.json()["code"]) == (503, "infra", "UNREACHABLE")
        assert away.json()["retryable"]
    dead.start()
    wait_until(lambda: bool(fleet.node(dead.url).get("healthy")), 60)
    assert fleet.node(dead.url)["draining"] and fleet.node(dead.url)["down_for_s"] is None
    nodes = {get(fleet.masters[1].url).raise_for_status().json()["node"] for _ in range(CAPACITY // 2)}
    assert nodes == {alive.url} and get(fleet.masters[0].url).json()["code"] == "NO_CAPACITY"
    wait_until(lambda: httpx.get(f"{fleet.masters[1].url}/metadata", params=old, timeout=30).status_code == 502, SOON_S)
    lost = httpx.get(f"{fleet.masters[0].url}/metadata", params=old, timeout=30)
    assert (lost.status_code, lost.json()["fault"], lost.json()["session_state"]) == (502, "infra", "lost")
    assert total(fleet.metrics(), "leases_ended_total", LOST) == before + 1, "once, by one process"
    post(fleet.masters[1].url, "/undrain", node=dead.url).raise_for_status()
    assert get(fleet.masters[0].url, wait_s=20).raise_for_status().json()["node"] == dead.url


def test_a_hung_node_is_the_fault_of_the_infrastructure_and_its_leases_are_not_lost(fleet: Fleet) -> None:
    hung = fleet.nodes[0]
    before = total(fleet.metrics(), "leases_ended_total", LOST)
    old = old_lease(fleet, hung.url)
    master = fleet.masters[0].url
    with frozen(hung):
        wait_until(lambda: bool(fleet.node(hung.url).get("down_for_s")), SOON_S)
        assert not fleet.node(hung.url)["healthy"]
        id_alone = {"instance_id": old["instance_id"]}
        calls = [("GET", "/screenshot", old), ("GET", "/metadata", id_alone), ("POST", "/reset", old)]
        calls += [("GET", "/probe", old), ("DELETE", f"/sessions/{old['instance_id']}", {})]
        for method, path, params in calls:
            refused = httpx.request(method, f"{master}{path}", params=params, timeout=30)
            said = refused.json()
            assert (refused.status_code, said["fault"], said["retryable"]) == (503, "infra", True), f"{path}: {said}"
        click = httpx.post(f"{master}/execute", json={**old, "get_page_metadata": {}}, timeout=30)
        assert (click.status_code, click.json()["fault"]) == (503, "infra")
    wait_until(lambda: bool(fleet.node(hung.url).get("healthy")), SOON_S)
    assert httpx.get(f"{master}/metadata", params=old, timeout=30).status_code == 200, "it has only slept"
    assert total(fleet.metrics(), "leases_ended_total", LOST) == before, "nothing was lost"
    assert httpx.get(f"{master}/metadata", params={**old, "node": "http://else:1"}, timeout=30).status_code == 400


def test_a_metric_comes_from_one_process(fleet: Fleet) -> None:
    held = [get(fleet.masters[number % 2].url).raise_for_status().json() for number in range(3)]
    reported = fleet.metrics()
    by_state = {
        state: total(reported, "slots", f'state="{state}"') for state in ("idle", "leased", "draining", "broken")
    }
    assert by_state == {"idle": 1, "leased": 3, "draining": 0, "broken": 0}
    assert [total(reported, "slots", f'node="{node.url}"') for node in fleet.nodes] == [CAPACITY // 2] * 2
    for name in ("queue_depth", "nodes_down"):
        assert len([line for line in reported if line.startswith(f"browser_service_{name} ")]) == 1, name
    assert total(reported, "leases_granted_total") >= len(held)
    first = min(master.url for master in fleet.masters)
    (leader,) = [master for master in fleet.masters if master.url == first]
    leader.end(signal.SIGKILL)
    other = next(master.url for master in fleet.masters if master.url != first)
    wait_until(lambda: "queue_depth" in httpx.get(f"{other}/metrics", timeout=10).text, SOON_S)
    leader.start()


def test_the_whole_service_drains_until_draining_is_ended(fleet: Fleet) -> None:
    first, second = (master.url for master in fleet.masters)
    post(first, "/drain").raise_for_status()
    wait_until(lambda: fleet.info(1)["draining"], SOON_S)
    for url in (first, second):
        refused = get(url, wait_s=1)
        assert (refused.status_code, refused.json()["code"]) == (503, "DRAINING") and not is_ready(url)
    with fleet.redis.client as client:
        client.flushall()
    fleet.masters[1].end(signal.SIGKILL)
    fleet.masters[1].start()
    wait_until(lambda: is_up(second), SOON_S)
    wait_until(lambda: fleet.info(1)["draining"], SOON_S)
    assert get(second).json()["code"] == "DRAINING" and fleet.info(0)["draining"]
    post(second, "/undrain").raise_for_status()
    wait_until(lambda: is_ready(first) and is_ready(second), SOON_S)
    assert get(first, wait_s=20).status_code == 200
    assert not list((fleet.folder / "state").glob("drained-*")), "no order is left"


def test_a_drained_master_is_shown_and_alone_in_it(fleet: Fleet) -> None:
    first, second = (master.url for master in fleet.masters)
    post(second, "/drain", master=first).raise_for_status()
    wait_until(lambda: states(fleet, 1)[first] == "draining", SOON_S)
    assert states(fleet, 0) == {first: "draining", second: "up"}
    assert not fleet.info(0)["draining"] and not is_ready(first) and is_ready(second)
    assert get(first).json()["code"] == "MASTER_STOPPING" and get(second).status_code == 200
    fleet.masters[0].end(signal.SIGTERM)
    wait_until(lambda: states(fleet, 1)[first] == "down", SOON_S)
    fleet.masters[0].start()
    wait_until(lambda: states(fleet, 1)[first] == "draining", SOON_S)
    post(first, "/undrain", master=first).raise_for_status()
    wait_until(lambda: states(fleet, 1)[first] == "up", SOON_S)
    for wrong in ({"master": "http://else:1"}, {"node": first, "master": first}):
        assert post(first, "/drain", **wrong).status_code in (400, 422)


def states(fleet: Fleet, master: int) -> dict[str, str]:
    status = PoolStatus.model_validate(fleet.info(master))
    return {front.url: front.state for front in status.fronts}
