"""Two masters that keep the leases in one Redis: either gives out any slot, and sessions outlive Redis and a master."""

import os
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from real_redis import RealRedis, running_redis
from real_service import free_port
from real_tiers import SMALL, cli, wait_until

pytestmark = pytest.mark.browser


@dataclass
class Shared:
    """Both masters, and the Redis behind them."""

    first: str
    second: str
    redis: RealRedis
    first_process: "subprocess.Popen[bytes]"


@pytest.fixture
def shared(short_folder: Path) -> Generator[Shared, None, None]:
    masters = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in masters]
    environment = {
        **os.environ,
        "BROWSER_SERVICE_STATE_DIR": str(short_folder),
        "BROWSER_SERVICE_REPORT_INTERVAL_S": "0.2",
        "BROWSER_SERVICE_INSTANCE_TTL_S": "1.5",
        "BROWSER_SERVICE_REAP_INTERVAL_S": "0.1",
        "BROWSER_SERVICE_WARM": "1",
    }
    node = [*cli("node"), "--port", str(free_port()), "--master", ",".join(urls), "--slots", "2", "--instances", "1"]
    node += ["--instance-port", str(free_port())]
    with running_redis() as redis, ExitStack() as stack:
        processes = list[subprocess.Popen[bytes]]()
        for port in masters:
            command = [*cli("master"), "--port", str(port), "--redis", redis.url, "--log-level", "warning"]
            processes.append(stack.enter_context(subprocess.Popen(command, env=environment)))
        processes.append(stack.enter_context(subprocess.Popen([*node, "--log-level", "warning"], env=environment)))
        try:
            for url in urls:
                wait_until(lambda url=url: available(url) == 2, 120)
            yield Shared(urls[0], urls[1], redis, processes[0])
        finally:
            below = psutil.Process(processes[-1].pid).children(recursive=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(40)
            _, alive = psutil.wait_procs(below, timeout=60)
            assert not alive


def available(url: str) -> int:
    """Free slots, as the service at the address knows; -1 while it does not answer."""
    try:
        return sum(node["available"] for node in httpx.get(f"{url}/info", timeout=20).json()["nodes"])
    except httpx.HTTPError:
        return -1


def post(url: str, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=body, timeout=40)


def test_sessions_outlive_redis_and_a_master(shared: Shared) -> None:
    wanted = {"viewport": SMALL, "owner": "kept", "idempotency_key": "once"}
    lease = post(shared.first, "/get", wanted).raise_for_status().json()
    assert post(shared.second, "/get", wanted).json()["instance_id"] == lease["instance_id"]
    old = httpx.post(f"{shared.second}/get", timeout=40).raise_for_status().json()
    mine = {"instance_id": lease["instance_id"], "token": lease["token"]}
    steps = iter(range(100))

    def step(url: str) -> httpx.Response:
        looking = {"step_id": next(steps), "action": {"kind": "observe"}, "observe": {"screenshot": False}}
        return post(url, "/step", {**mine, **looking})

    shared.redis.kill()
    for url in (lease["direct_url"], shared.first, shared.second):
        step(url).raise_for_status()
    assert httpx.get(f"{shared.first}/metadata", params=old, timeout=40).json()["url"] == "about:blank"
    refused = post(shared.first, "/get", {"wait_s": 0})
    assert refused.status_code == 503 and refused.json()["code"] == "REGISTRY_DOWN" and refused.json()["retryable"]
    assert int(refused.headers["retry-after"]) >= 1
    assert httpx.get(f"{shared.first}/healthz").status_code == 200

    shared.redis.start()  # empty: what it has known, the instance tells it again
    again = wait_until(lambda: post(shared.second, "/get", wanted).is_success, 20)
    assert again < 20
    assert post(shared.second, "/get", wanted).json()["instance_id"] == lease["instance_id"]
    assert post(shared.first, "/get", {"wait_s": 0}).status_code == 503, "both slots are held, as before"

    shared.first_process.kill()
    httpx.post(f"{shared.second}/reset", params=old, timeout=40).raise_for_status()
    new = post(shared.second, "/get", {"viewport": SMALL, "wait_s": 20}).raise_for_status().json()
    assert new["generation"] > lease["generation"]
    step(shared.second).raise_for_status()


@pytest.mark.chaos
def test_an_outage_longer_than_every_term_ends_no_session(shared: Shared) -> None:
    """Redis hangs for longer than a lease lives without a call, and than an instance is believed without a report."""
    lease = post(shared.first, "/get", {"viewport": SMALL, "ttl_s": 2}).raise_for_status().json()
    mine = {"instance_id": lease["instance_id"], "token": lease["token"]}
    looking = {"action": {"kind": "observe"}, "observe": {"screenshot": False}}
    shared.redis.pause()
    began, number = time.monotonic(), 0
    while time.monotonic() - began < 6:
        for url in (lease["direct_url"], shared.first, shared.second):
            number += 1
            post(url, "/step", {**mine, **looking, "step_id": number}).raise_for_status()
        time.sleep(0.3)
    shared.redis.go_on()
    wait_until(lambda: available(shared.first) == available(shared.second) == 1, 20)
    post(shared.second, "/step", {**mine, **looking, "step_id": number + 1}).raise_for_status()
    taken = post(shared.first, "/get", {"viewport": SMALL, "wait_s": 10}).raise_for_status().json()
    assert taken["generation"] > lease["generation"] and taken["instance_id"] != lease["instance_id"]
    assert post(shared.second, "/get", {"wait_s": 0}).status_code == 503, "the lease that outlived it holds its slot"
