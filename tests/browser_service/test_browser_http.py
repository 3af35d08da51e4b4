"""The HTTP surface: errors as problems, the gate, steps that are never taken twice."""

import asyncio
from collections.abc import Generator

import httpx
import pytest
from real_service import Site, running_service

from browser_service.client import BrowserPool
from browser_service.errors import LeaseMismatch, NoCapacity, Unauthorized
from browser_service.models import Observe, Problem, Viewport, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
SIZE = {"width": 400, "height": 300}


def problem(response: httpx.Response) -> Problem:
    assert response.headers["content-type"] == "application/problem+json"
    return Problem.model_validate_json(response.content)


@pytest.fixture
def http(service: Settings) -> Generator[httpx.Client, None, None]:
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


@pytest.fixture
def lease(http: httpx.Client) -> Generator[dict[str, str], None, None]:
    body = {"owner": "raw", "viewport": SIZE, "ttl_s": 60}
    granted = http.post("/get", json=body).raise_for_status().json()
    yield granted
    http.post("/release", json={"instance_id": granted["instance_id"], "token": granted["token"]}).raise_for_status()


def step(lease: dict[str, str], step_id: int, **action: object) -> dict[str, object]:
    wanted = {"screenshot": False}
    return {
        "instance_id": lease["instance_id"],
        "token": lease["token"],
        "step_id": step_id,
        "action": action,
        "observe": wanted,
    }


def test_hosts_that_are_none_are_refused_before_anybody_waits(http: httpx.Client, service: Settings) -> None:
    held = [http.post("/get", json={"viewport": SIZE}).raise_for_status().json() for _ in range(service.slots)]
    try:
        for path, body in (
            ("/get", {"sites": ["shop..test"], "wait_s": 60}),
            ("/batch_get", {"count": 2, "lease": {"blocked_hosts": ["a b"], "wait_s": 60}}),
            ("/batch_get", {"count": 2, "lease": {"blocked_hosts": ["ads.test:80"], "wait_s": 60}}),
        ):
            refused = problem(http.post(path, json=body))
            assert (refused.status, refused.code, refused.fault) == (422, "BAD_REQUEST", "client")
    finally:
        for one in held:
            http.post("/release", json={"instance_id": one["instance_id"], "token": one["token"]}).raise_for_status()


def test_a_repeated_step_returns_its_reply_and_never_acts_twice(
    http: httpx.Client, lease: dict[str, str], site: Site
) -> None:
    page = site.page("counter", "<button onclick='document.title=++n'>x</button>", script="n = 0")
    http.post("/step", json=step(lease, 0, kind="visit_page", url=page)).raise_for_status()
    click = step(lease, 1, kind="click_id", id=1)
    first = http.post("/step", json=click).raise_for_status()
    again = http.post("/step", json=click).raise_for_status()
    assert first.content == again.content
    now = http.post("/step", json=step(lease, 2, kind="observe")).json()
    assert now["observation"]["title"] == "1"
    older = http.post("/step", json=click)
    assert older.status_code == 409 and problem(older).code == LeaseMismatch.code


def test_a_step_that_fails_as_nobody_foresaw_is_never_taken_twice(
    http: httpx.Client, lease: dict[str, str], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = site.page("acted", "<button onclick=\"fetch('/clicked')\">x</button>")
    http.post("/step", json=step(lease, 0, kind="visit_page", url=page)).raise_for_status()
    click = step(lease, 1, kind="click_id", id=1)
    with monkeypatch.context() as patched:
        patched.setattr("browser_service.session.browser.Observation", lambda **_: [][0])
        broken = problem(http.post("/step", json=click))
    again = problem(http.post("/step", json=click))
    assert (broken.code, broken.session_state) == (again.code, again.session_state) == ("BROWSER_CRASHED", "lost")
    assert "IndexError" in broken.detail and site.hits.count("/clicked") == 1


async def test_a_step_repeated_while_it_runs_acts_once(service: Settings, lease: dict[str, str], site: Site) -> None:
    page = site.page("counter2", "<button onclick='document.title=++n'>x</button>", script="n = 0")
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as http:
        (await http.post("/step", json=step(lease, 0, kind="visit_page", url=page))).raise_for_status()
        click = step(lease, 1, kind="click_id", id=1)
        replies = await asyncio.gather(*(http.post("/step", json=click) for _ in range(4)))
    assert {reply.json()["observation"]["title"] for reply in replies} == {"1"}
    assert len({reply.content for reply in replies}) == 1


def test_a_wrong_token_is_refused_on_every_route(http: httpx.Client, lease: dict[str, str]) -> None:
    stolen = {"instance_id": lease["instance_id"], "token": "guess"}
    assert problem(http.post("/step", json=step({**lease, "token": "guess"}, 0, kind="observe"))).status == 409
    for path in ("/renew", "/release"):
        assert problem(http.post(path, json=stolen)).code == LeaseMismatch.code
    without = {"instance_id": lease["instance_id"], "node": lease["node"]}
    for path in ("/screenshot", "/metadata", "/probe"):
        assert http.get(path, params=without).json()["code"] == LeaseMismatch.code
    assert http.post("/execute", json={**without, "back": {}}).status_code == 409
    assert http.post("/reset", params=without).status_code == 409


def test_a_released_lease_is_gone_and_can_be_released_again(http: httpx.Client) -> None:
    granted = http.post("/get", json={"viewport": SIZE}).json()
    mine = {"instance_id": granted["instance_id"], "token": granted["token"]}
    assert http.post("/renew", json=mine).json()["expires_in_s"] > 50
    for _ in range(2):
        assert http.post("/release", json=mine).status_code == 200
    gone = http.post("/step", json=step(granted, 0, kind="observe"))
    assert gone.status_code == 404 and "instance not found" in problem(gone).detail


def test_no_capacity_says_when_to_try_again(http: httpx.Client, service: Settings) -> None:
    held = [http.post("/get", json={"viewport": SIZE}).json() for _ in range(service.slots)]
    refused = http.post("/get", json={"viewport": SIZE, "wait_s": 0.1})
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
    assert problem(refused).code == NoCapacity.code and problem(refused).retryable and "capacity" in refused.text
    for one in held:
        http.post("/release", json={"instance_id": one["instance_id"], "token": one["token"]}).raise_for_status()


def test_the_same_idempotency_key_is_one_lease(http: httpx.Client) -> None:
    body = {"viewport": SIZE, "idempotency_key": "only-one"}
    first, again = http.post("/get", json=body).json(), http.post("/get", json=body).json()
    assert first["instance_id"] == again["instance_id"] and first["token"] == again["token"]
    http.post("/release", json={"idempotency_key": "only-one"}).raise_for_status()
    assert first["instance_id"] not in http.get("/info").json()["nodes"][0]["instances"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"step_id": -1}, "step_id"),
        ({"action": {"kind": "fly"}}, "action"),
        ({"action": {"kind": "click_coords", "x": 1}}, "y"),
        ({"action": {"kind": "back", "typo": 1}}, "typo"),
        ({"action": {"kind": "click_coords", "x": -1, "y": 1e9}}, "x"),
    ],
)
def test_a_wrong_body_is_a_problem_that_names_the_field(
    http: httpx.Client, body: dict[str, object], where: str
) -> None:
    whole = {"instance_id": "i", "token": "t", "step_id": 0, "action": {"kind": "observe"}, **body}
    answer = http.post("/step", json=whole)
    assert answer.status_code == 422
    assert where in problem(answer).detail and problem(answer).fault == "client"


def test_bodies_that_are_no_json_or_too_large_are_refused(http: httpx.Client) -> None:
    plain = http.post("/step", content=b"{}", headers={"content-type": "text/plain"})
    assert plain.status_code == 415
    assert http.post("/release", content=b"{}").status_code == 415
    large = http.post("/step", content=b" " * 2_000_000, headers={"content-type": "application/json"})
    assert large.status_code == 413
    broken = http.post("/step", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 422


def test_a_foreign_host_name_is_refused(http: httpx.Client) -> None:
    assert http.get("/info", headers={"host": "evil.test"}).status_code == 421
    assert http.get("/info", headers={"host": f"localhost:{http.base_url.port}"}).status_code == 200


async def test_a_page_in_a_browser_can_not_drive_the_service(pool: BrowserPool, service: Settings, site: Site) -> None:
    page = site.page(
        "attack",
        "x",
        script=f"""for (const type of ['text/plain', 'application/x-www-form-urlencoded'])
            fetch('{service.url}/get', {{method: 'POST', mode: 'no-cors', headers: {{'content-type': type}}, body: '{{}}'}});
            fetch('{service.url}/get', {{method: 'POST', headers: {{'content-type': 'application/json'}}, body: '{{}}'}});""",
    )
    async with pool.lease(owner="attacked", viewport=Viewport(**SIZE)) as browser:
        await browser.step(VisitPage(url=page))
        await browser.step(Observe())
        assert len((await pool.info()).nodes[0].instances) == 1


def test_health_and_readiness(http: httpx.Client) -> None:
    assert http.get("/healthz").status_code == 200
    assert http.get("/readyz").json() == {"ready": True}


@pytest.fixture(scope="module")
def locked() -> Generator[Settings, None, None]:
    """A service with an api key."""
    with running_service(slots=1, api_key="correct horse") as settings:
        yield settings


def test_a_key_is_wanted_on_every_route_once_it_is_set(locked: Settings) -> None:
    with httpx.Client(base_url=locked.url) as http:
        routes = http.get("/openapi.json", headers={"x-api-key": "correct horse"}).json()["paths"]
        assert len(routes) > 10
        for path, methods in routes.items():
            for method in methods:
                expected = 200 if path in ("/healthz", "/readyz", "/giving") else 401
                assert http.request(method, path).status_code == expected, path
        assert "API Key is missing" in problem(http.get("/info")).detail
        assert http.get("/info", headers={"x-api-key": "correct"}).status_code == 401


async def test_the_client_sends_the_key(locked: Settings) -> None:
    async with BrowserPool(locked.url, "wrong") as pool:
        with pytest.raises(Unauthorized):
            await pool.info()
    async with BrowserPool(locked.url, "correct horse") as pool:
        assert (await pool.info()).nodes[0].capacity == 1
