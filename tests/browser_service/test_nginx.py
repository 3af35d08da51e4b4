"""The configuration for nginx, in a real nginx: before dead, frozen, unreachable and restarting masters."""

import signal
import ssl
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from real_fleet import CAPACITY, Fleet
from real_nginx import RealNginx, running_nginx, unreachable_port
from real_service import free_port
from real_tiers import wait_until

LONGEST_S = 60
"""Limit of a call here: without limits in the configuration a frozen master takes eleven minutes."""


@contextmanager
def through(nginx: RealNginx) -> Generator[httpx.Client, None, None]:
    """A client that knows one address, and no idempotency keys: an old one."""
    with httpx.Client(
        base_url=nginx.url, timeout=LONGEST_S, verify=ssl.create_default_context(cafile=nginx.ca_file)
    ) as client:
        yield client


class Dropping(BaseHTTPRequestHandler):
    """A master that is well, and ends the connection of every call without an answer, as one that is killed does."""

    protocol_version = "HTTP/1.1"
    calls: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        if self.path in ("/healthz", "/giving"):
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        self.calls.append((self.path, self.headers["x-idempotency-key"]))
        self.close_connection = True

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def dropping_masters() -> Generator[tuple[list[str], list[tuple[str, str | None]]], None, None]:
    """Two of them: their addresses, and the calls that came to either."""
    calls: list[tuple[str, str | None]] = []
    kind = type("Noted", (Dropping,), {"calls": calls})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), kind) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    yield [f"127.0.0.1:{server.server_address[1]}" for server in servers], calls
    for server in servers:
        server.shutdown()
        server.server_close()


def test_what_is_safe_to_repeat_goes_to_the_other_master_and_nothing_else() -> None:
    safe = ["POST /get", "POST /batch_get", "POST /step", "POST /renew", "POST /release", "POST /drain", "GET /info"]
    safe += ["GET /screenshot", "DELETE /sessions/x", "GET /metrics"]
    with dropping_masters() as (upstreams, calls), running_nginx(upstreams) as nginx, through(nginx) as http:
        for call in safe:
            calls.clear()
            method, path = call.split()
            assert http.request(method, path, content=b"{}" if method == "POST" else None).status_code == 503
            assert len(calls) > 1, call
            assert {key for _, key in calls} == {calls[0][1]} and calls[0][1], f"{call}: one key for all repetitions"
        for path in ("/execute", "/reset"):
            calls.clear()
            assert http.post(path, content=b"{}").status_code == 502
            assert [path for path, _ in calls] == [path], "a click that may have happened was sent twice"
        keys = {key for path, key in calls}
        http.post("/get", content=b"{}", headers={"x-idempotency-key": "of the client"})
        assert calls[-1][1] not in {*keys, "of the client"}, "every call has a key of its own, which no client chooses"
        assert http.get("/tier/status").status_code == 404


def test_nobody_there_is_a_fault_of_the_infrastructure() -> None:
    with unreachable_port() as unreachable:
        nobody = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{unreachable}"]
        with running_nginx(nobody) as nginx, through(nginx) as http:
            for call in ("/get", "/execute", "/step"):
                refused = http.post(call, content=b"{}")
                assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
                problem = refused.json()
                assert (problem["code"], problem["fault"], problem["retryable"]) == ("UNREACHABLE", "infra", True)
                assert "No available nodes with capacity to create new instance" in problem["detail"]


@pytest.mark.browser
def test_dead_frozen_and_unreachable_masters_cost_no_call(fleet: Fleet) -> None:
    fleet.make_whole()
    first, second = (master.url.removeprefix("http://") for master in fleet.masters)
    with unreachable_port() as unreachable:
        upstreams = [f"127.0.0.1:{unreachable}", first, f"127.0.0.1:{free_port()}", second]
        with running_nginx(upstreams) as nginx, through(nginx) as http:
            try:
                fleet.masters[1].send(signal.SIGSTOP)
                for number in range(10):
                    old = http.post("/get")
                    assert old.status_code == 200, f"{number}: {old.status_code} {old.text}"
                    assert http.get("/metadata", params=old.json()).status_code == 200
                    assert http.post("/reset", params=old.json()).status_code == 200
                    assert http.get("/info").status_code == 200
            finally:
                fleet.masters[1].send(signal.SIGCONT)


@pytest.mark.browser
def test_old_clients_do_not_notice_that_masters_are_restarted(fleet: Fleet, nginx: RealNginx) -> None:
    """Those in line neither: each of them gets one lease, and none is left behind."""
    fleet.make_whole()
    with through(nginx) as http, ThreadPoolExecutor(4) as threads:
        held = [http.post("/get").raise_for_status().json() for _ in range(CAPACITY)]
        waiting = [threads.submit(http.post, "/get") for _ in range(3)]
        wait_until(lambda: fleet.info()["queue"] == 3, 20)
        for master, number in zip(fleet.masters, (signal.SIGTERM, signal.SIGKILL), strict=True):
            master.end(number)
            assert http.get("/info").status_code == 200
            master.start()
            wait_until(lambda master=master: is_giving(master.url), 60)
        for each in held:
            assert http.post("/reset", params=each).status_code == 200
        answers = [each.result() for each in waiting]
        assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
        got = sorted(answer.json()["instance_id"] for answer in answers)
        sessions = http.get("/sessions").json()["sessions"]
        assert sorted(session["instance_id"] for session in sessions) == got
    fleet.make_whole()


@pytest.mark.browser
def test_a_drained_master_refuses_no_old_client(fleet: Fleet, nginx: RealNginx) -> None:
    fleet.make_whole()
    drained = fleet.masters[0].url
    with through(nginx) as http:
        httpx.post(f"{fleet.masters[1].url}/drain", params={"master": drained}, timeout=20).raise_for_status()
        assert httpx.post(f"{drained}/get", json={"wait_s": 0}, timeout=20).json()["code"] == "MASTER_STOPPING"
        for _ in range(6):
            old = http.post("/get")
            assert old.status_code == 200 and http.post("/reset", params=old.json()).status_code == 200
        httpx.post(f"{fleet.masters[1].url}/undrain", params={"master": drained}, timeout=20).raise_for_status()
    fleet.make_whole()


def is_giving(url: str) -> bool:
    try:
        return httpx.get(f"{url}/giving", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
