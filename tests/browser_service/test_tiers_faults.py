"""The tiers with their parts killed and stopped: slots come back, leases become infrastructure faults, nothing is left."""

import signal
import socket
import threading
import time
from collections.abc import Generator
from typing import Any

import httpx
import psutil
import pytest
from real_tiers import SMALL, Deployment, wait_until

from browser_service.models import Lease, Problem

pytestmark = pytest.mark.browser

SLOTS_BACK_S = 40
"""Three seconds on an idle machine; the tests run on crowded ones."""


@pytest.fixture
def http(deployment: Deployment) -> Generator[httpx.Client, None, None]:
    """A client of the master; a test may leave the deployment broken for a while."""
    deployment.wait_until_whole()
    with httpx.Client(base_url=deployment.url, timeout=60) as client:
        yield client
        for session in client.get("/sessions").json()["sessions"]:
            client.delete(f"/sessions/{session['instance_id']}")


def lease(http: httpx.Client, **wanted: Any) -> Lease:
    answer = http.post("/get", json={"viewport": SMALL, **wanted})
    assert answer.status_code == 200, answer.text
    return Lease.model_validate_json(answer.content)


def step(lease: Lease, step_id: int = 0) -> dict[str, Any]:
    looking = {"action": {"kind": "observe"}, "observe": {"screenshot": False}}
    return {"instance_id": lease.instance_id, "token": lease.token, "step_id": step_id, **looking}


def problem(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return Problem.model_validate_json(answer.content)


def browsers_of(process: psutil.Process) -> list[psutil.Process]:
    """Chromium and its driver under an instance."""
    return process.children(recursive=True)


def available(http: httpx.Client) -> int:
    return sum(node["available"] for node in http.get("/info").json()["nodes"] if node["healthy"])


def healthy(http: httpx.Client) -> set[str]:
    return {node["url"] for node in http.get("/info").json()["nodes"] if node["healthy"]}


def test_a_killed_instance_costs_its_own_leases_and_comes_back(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http)
    assert mine.direct_url
    instance = psutil.Process(deployment.pid_of(mine.direct_url))
    browsers = browsers_of(instance)
    assert browsers
    instance.kill()
    broken = problem(http.post("/step", json=step(mine)))
    assert broken.fault == "infra" and broken.status in (502, 503)
    wait_until(lambda: not instance.is_running(), SLOTS_BACK_S)
    deployment.wait_until_whole(SLOTS_BACK_S)
    assert deployment.pid_of(mine.direct_url) != instance.pid
    for url in (mine.direct_url, deployment.url):
        lost = problem(httpx.post(f"{url}/step", json=step(mine)))
        assert (lost.status, lost.code, lost.fault, lost.session_state) == (502, "BROWSER_CRASHED", "infra", "lost")
    _, alive = psutil.wait_procs(browsers, timeout=60)
    assert not alive, "browsers of the killed instance are left"


def test_a_dead_driver_ends_its_instance_which_is_started_again(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http)
    assert mine.direct_url
    instance = psutil.Process(deployment.pid_of(mine.direct_url))
    (driver,) = [child for child in instance.children() if "run-driver" in child.cmdline()]
    driver.kill()
    wait_until(lambda: not instance.is_running(), 20)
    deployment.wait_until_whole(SLOTS_BACK_S)
    assert problem(http.post("/step", json=step(mine))).fault == "infra"


@pytest.mark.parametrize("asked", ["master", pytest.param("node", marks=pytest.mark.chaos)])
def test_an_instance_that_dies_in_a_drained_node_comes_back_drained(
    http: httpx.Client, deployment: Deployment, asked: str
) -> None:
    mine = lease(http)
    assert mine.direct_url
    front, node = (deployment.url, {"node": mine.node}) if asked == "master" else (mine.node, {})
    httpx.post(f"{front}/drain", params=node, timeout=20).raise_for_status()
    seen = list[bool]()

    def says_that_it_drains() -> bool:
        seen.extend(n["draining"] for n in http.get("/info").json()["nodes"] if n["url"] == mine.node and n["healthy"])
        try:
            there = httpx.get(f"{mine.direct_url}/info", timeout=2).json()["nodes"]
        except httpx.HTTPError:
            return False
        return there[0]["healthy"] and there[0]["draining"] and {n["url"] for n in there} == {mine.node}

    try:
        wait_until(says_that_it_drains, 10)
        instance = psutil.Process(deployment.pid_of(mine.direct_url))
        instance.kill()
        wait_until(lambda: not instance.is_running(), 10)
        seen.clear()
        wait_until(lambda: says_that_it_drains() and len(seen) > 0, SLOTS_BACK_S)
        assert all(seen), "for a moment it took leases"
        assert {lease(http).node for _ in range(2)} == {url for url in deployment.node_urls if url != mine.node}
        assert problem(http.post("/get", json={"wait_s": 0.2})).code == "NO_CAPACITY"
    finally:
        httpx.post(f"{front}/undrain", params=node, timeout=20).raise_for_status()
    assert lease(http, wait_s=10).node == mine.node


def test_a_killed_node_leaves_the_other_and_comes_back(http: httpx.Client, deployment: Deployment) -> None:
    leases = [lease(http) for _ in range(4)]
    doomed = leases[0].node
    others = [each for each in leases if each.node != doomed]
    node = psutil.Process(deployment.pid_of(doomed))
    below = node.children(recursive=True)
    node.kill()
    for each in others:
        http.post("/step", json=step(each)).raise_for_status()
        http.post("/release", json={"instance_id": each.instance_id, "token": each.token}).raise_for_status()
    assert {lease(http, wait_s=5).node for _ in others} == {others[0].node}
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not alive, "what the node had started is left"
    wait_until(lambda: available(http) == 2, 30)
    assert problem(http.post("/step", json=step(leases[0]))).fault == "infra"
    assert lease(http, wait_s=40).node == doomed


def test_a_killed_master_grants_nothing_twice_and_nothing_for_ever(http: httpx.Client, deployment: Deployment) -> None:
    """Clients that repeat a request with its key find the lease that they may have got without knowing.

    A master that hears late of an instance gives a second lease for a key that has one there: then the last answer counts.
    """
    got: dict[str, list[str]] = {f"key-{number}": [] for number in range(3)}
    refused = list[str]()
    stop = threading.Event()

    def ask(asking: httpx.Client, key: str) -> None:
        answer = asking.post("/get", json={"viewport": SMALL, "idempotency_key": key, "wait_s": 10})
        if answer.is_success:
            got[key].append(answer.json()["instance_id"])
        elif not problem(answer).retryable:
            refused.append(answer.text)

    def ask_again_and_again(key: str) -> None:
        with httpx.Client(base_url=deployment.url, timeout=20) as asking:
            while not stop.is_set() and not refused:
                try:
                    ask(asking, key)
                except httpx.HTTPError:
                    time.sleep(0.05)

    threads = [threading.Thread(target=ask_again_and_again, args=(key,)) for key in got]
    deployment.kill(deployment.url)
    for thread in threads:
        thread.start()
    wait_until(lambda: bool(refused) or all(got.values()), 40)
    deployment.kill(deployment.url)
    time.sleep(0.5)
    wait_until(deployment_answers(deployment), 40)
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(30)

    def each_key_has_the_lease_that_was_answered_last() -> bool:
        for key in got:
            ask(http, key)
        held = sorted(each["instance_id"] for each in http.get("/sessions").json()["sessions"])
        return bool(refused) or held == sorted(answers[-1] for answers in got.values())

    wait_until(each_key_has_the_lease_that_was_answered_last, 30)
    assert not refused
    assert all(len(set(answers)) <= 2 for answers in got.values()), got


def test_of_two_leases_of_one_key_the_one_that_came_back_is_ended(http: httpx.Client, deployment: Deployment) -> None:
    forgotten = lease(http, idempotency_key="twice")
    assert forgotten.direct_url
    instance = deployment.kill(forgotten.direct_url, signal.SIGSTOP)
    try:
        wait_until(lambda: forgotten.node not in healthy(http), 15)
        mine = lease(http, idempotency_key="twice", wait_s=10)
        assert mine.instance_id != forgotten.instance_id
    finally:
        instance.send_signal(signal.SIGCONT)

    def held() -> set[str]:
        return {each["instance_id"] for each in http.get("/sessions").json()["sessions"]}

    wait_until(lambda: held() == {mine.instance_id, forgotten.instance_id}, 20)
    assert lease(http, idempotency_key="twice").instance_id == mine.instance_id
    wait_until(lambda: held() == {mine.instance_id}, 20)
    ended = problem(http.post("/step", json=step(forgotten)))
    assert (ended.code, ended.session_state) == ("LEASE_NOT_FOUND", "lost")
    http.post("/step", json=step(mine)).raise_for_status()
    wait_until(lambda: available(http) == 3, 20)


def deployment_answers(deployment: Deployment) -> Any:
    def answers() -> bool:
        try:
            return httpx.get(f"{deployment.url}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    return answers


def test_a_running_session_does_not_notice_that_the_master_is_gone(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http)
    assert mine.direct_url
    deployment.kill(deployment.url)
    for number in range(3):
        httpx.post(f"{mine.direct_url}/step", json=step(mine, number), timeout=20).raise_for_status()
    wait_until(deployment_answers(deployment), 40)
    wait_until(lambda: available(http) >= 3, 40)
    assert available(http) == 3, "the new master knows of the lease"
    http.post("/step", json=step(mine, 3)).raise_for_status()


def test_an_instance_that_slept_past_its_lease_is_fenced_off(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http, ttl_s=1)
    assert mine.direct_url
    instance = deployment.kill(mine.direct_url, signal.SIGSTOP)
    try:
        wait_until(lambda: mine.node not in healthy(http), 15)
        others = [lease(http, wait_s=5) for _ in range(2)]
        assert mine.node not in {other.node for other in others}
    finally:
        instance.send_signal(signal.SIGCONT)
    late = problem(httpx.post(f"{mine.direct_url}/step", json=step(mine), timeout=20))
    assert (late.code, late.session_state) == ("LEASE_NOT_FOUND", "lost")
    wait_until(lambda: available(http) == 2, 10)
    new = lease(http)
    assert new.direct_url == mine.direct_url and new.generation > mine.generation
    assert problem(http.post("/step", json=step(mine))).code == "LEASE_NOT_FOUND"
    http.post("/step", json=step(new)).raise_for_status()


def test_sessions_of_a_sleeping_node_go_on_and_are_known_again(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http, idempotency_key="awake")
    assert mine.direct_url
    node = deployment.kill(mine.node, signal.SIGSTOP)
    try:
        wait_until(lambda: mine.node not in healthy(http), 15)
        httpx.post(f"{mine.direct_url}/step", json=step(mine, 0), timeout=20).raise_for_status()
        http.post("/step", json=step(mine, 1)).raise_for_status()
    finally:
        node.send_signal(signal.SIGCONT)
    wait_until(lambda: available(http) == 3, 15)
    assert lease(http, idempotency_key="awake").instance_id == mine.instance_id


def test_a_repeated_request_that_is_given_up_takes_nothing_away(http: httpx.Client, deployment: Deployment) -> None:
    mine = lease(http, idempotency_key="mine")
    host, _, port = deployment.url.removeprefix("http://").partition(":")
    body = b'{"idempotency_key": "mine"}'
    head = (
        f"POST /get HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    for _ in range(10):
        with socket.create_connection((host, int(port))) as impatient:
            impatient.sendall(head.encode() + body)
    time.sleep(0.3)
    http.post("/step", json=step(mine)).raise_for_status()
