"""The checks of requests before a route does its work, at an instance and at a master, without any browser."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from browser_service.events import Events
from browser_service.leasing.leases import QueueLimits
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.tokens import TierKey
from browser_service.models import Problem
from browser_service.servers.instance import create_app
from browser_service.servers.master import create_front_app
from browser_service.settings import Settings
from browser_service.tiers.admission import Admission
from browser_service.tiers.instances import keep_alive_client, remote_instances
from browser_service.tiers.overview import Overview
from browser_service.tiers.service import Service

LIMIT = 200_000
JSON = {"content-type": "application/json"}
DEEP = b"[" * (LIMIT // 2)
ON_A_LEASE = ("/step", "/execute", "/renew", "/release")


def instance(wanted: Settings) -> FastAPI:
    """An instance behind a node; it has no browsers yet."""
    service = Service(wanted)
    app = create_app(wanted, service)
    app.state.service = service
    return app


def front(wanted: Settings) -> FastAPI:
    """A master that no instance has reported to."""
    events, key, http = Events(), TierKey.random(), keep_alive_client()
    store = InProcessStore(time.monotonic, key.sign, QueueLimits())
    overview = Overview(wanted, store, remote_instances(wanted, http), events)
    service = Service(wanted, events, key, overview=overview, own_admission=Admission(overview, events))
    app = create_front_app(wanted, service)
    app.state.service = service
    return app


TIERS = pytest.mark.parametrize("make", [instance, front])


@asynccontextmanager
async def client_of(app: FastAPI, **options: Any) -> AsyncGenerator[httpx.AsyncClient, None]:
    transport = httpx.ASGITransport(app, **options)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def problem(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = Problem.model_validate_json(answer.content)
    assert found.status == answer.status_code
    return found


async def pieces(size: int) -> AsyncIterator[bytes]:
    """A body that announces no length."""
    for _ in range(0, size, 10_000):
        yield b" " * 10_000


@pytest.mark.parametrize(
    ("make", "path"),
    [*product([instance, front], ON_A_LEASE), (front, "/get"), (front, "/tier/report"), (instance, "/tier/admit")],
)
async def test_a_body_without_a_length_is_too_large_at_the_same_size(make: Any, path: str) -> None:
    wanted = Settings.model_validate({"body_limit_bytes": LIMIT, "tier_key": "t" * 32})
    headers = {**JSON, "x-tier-key": "t" * 32}
    async with client_of(make(wanted)) as client:
        for content in (pieces(LIMIT + 10_000), b" " * (LIMIT + 10_000)):
            refused = problem(await client.post(path, content=content, headers=headers))
            assert (refused.status, refused.code, refused.fault) == (413, "BODY_TOO_LARGE", "client")
            assert refused.retryable is False and str(LIMIT) in refused.detail
        whole = await client.post(path, content=pieces(LIMIT), headers=headers)
        assert whole.status_code == 422, "as large as it may be, and empty"


@TIERS
@pytest.mark.parametrize("path", [*ON_A_LEASE, "/get"])
@pytest.mark.parametrize("body", [DEEP, b'{"instance_id": ' + DEEP, b'{"a":' * 30_000])
async def test_a_body_that_is_nested_too_deeply_is_the_callers_mistake(make: Any, path: str, body: bytes) -> None:
    async with client_of(make(Settings(body_limit_bytes=LIMIT))) as client:
        answer = await client.post(path, content=body, headers=JSON)
        assert answer.status_code in (400, 404, 422) and answer.json()["fault"] == "client", answer.text
        assert answer.json().keys() >= {"code", "retryable", "detail"}


@TIERS
async def test_what_the_framework_refuses_is_a_problem_too(make: Any) -> None:
    async with client_of(make(Settings())) as client:
        nowhere = problem(await client.get("/nowhere"))
        assert (nowhere.status, nowhere.code, nowhere.fault, nowhere.retryable) == (404, "NOT_FOUND", "client", False)
        assert "GET /nowhere" in nowhere.detail
        wrong = await client.put("/step")
        assert problem(wrong).code == "METHOD_NOT_ALLOWED" and wrong.headers["allow"] == "POST"
        drained = problem(await client.get("/drain"))
        assert (drained.status, drained.code) == (405, "METHOD_NOT_ALLOWED")


@TIERS
async def test_our_own_mistake_is_a_problem_without_its_inside(make: Any) -> None:
    async def broken() -> None:
        raise KeyError("a secret")

    app = make(Settings())
    app.add_api_route("/broken", broken)
    async with client_of(app, raise_app_exceptions=False) as client:
        answer = await client.get("/broken")
        found = problem(answer)
    assert (found.status, found.code, found.fault, found.retryable) == (500, "ERROR", "infra", False)
    assert "KeyError" in found.detail and "secret" not in answer.text


async def test_a_command_without_a_lease_id_gets_a_sentence_from_a_front() -> None:
    """It was told that the process has no browsers."""
    async with client_of(front(Settings())) as client:
        refused = await client.post("/execute", json={"back": {}})
    assert refused.status_code == 422
    assert refused.json()["message"].startswith("Failed to execute command: the body must be {")


@TIERS
async def test_the_live_view_is_open_to_a_token_and_to_nothing_that_looks_like_one(make: Any) -> None:
    """Without a token the route takes the caller for an old client, whose lease needs none: then only the key is left."""
    wanted = Settings.model_validate({"api_key": "correct horse"})
    async with client_of(make(wanted)) as client:
        for path in ("/sessions/a:1/live", "/sessions/a:1/live/stream"):
            for query in (
                "",
                "?xtoken=1",
                "?a=token=1",
                "?token",
                "?token=",
                "?token=1&token=",
                "?TOKEN=1",
                "?a=%26token=1",
            ):
                refused = await client.get(path + query)
                assert refused.status_code == 401 and problem(refused).code == "UNAUTHORIZED", query
            for query in ("?token=1", "?a=1&token=1", "?%74oken=1"):
                assert (await client.get(path + query)).status_code != 401, query
            assert (await client.get(path, headers={"x-api-key": "correct horse"})).status_code != 401
        assert (await client.get("/info?token=1")).status_code == 401


# ---- any body at a front -----------------------------------------------------------------------------------------
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMED = st.fixed_dictionaries(
    {},
    optional={
        "instance_id": ODD | st.sampled_from(["nobody:1", "nobody", "", ":"]),
        "token": ODD | st.sampled_from(["a.1.1.b", "aHR0cDovLzEyNy4wLjAuMToxLw.1.1.x", "....", "a.\u0663.1.b"]),
        "node": ODD,
        "deadline_s": ODD | st.floats() | st.integers(),
        "back": ODD,
    },
)
BODIES = (NAMED | ODD).map(lambda body: json.dumps(body).encode())


@pytest.fixture(scope="module")
def http() -> Generator[TestClient, None, None]:
    """Raises whatever a front does not expect."""
    with TestClient(front(Settings()), base_url="http://127.0.0.1") as client:
        yield client


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(ON_A_LEASE), body=BODIES | st.binary(max_size=40))
@example(path="/step", body=DEEP)
@example(path="/execute", body=b'{"instance_id": "nobody:1", "back": ' + DEEP)
def test_no_body_breaks_a_front(http: TestClient, path: str, body: bytes) -> None:
    answer = http.post(path, content=body, headers=JSON)
    assert 400 <= answer.status_code < 500, (body, answer.text)
    assert answer.json()["fault"] == "client", body
    assert http.get("/healthz").status_code == 200
