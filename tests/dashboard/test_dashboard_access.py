"""Access: log-in off loopback, no writes from other origins, no other host names."""

import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
from acting import client_of, make_service
from fastapi import FastAPI
from typer.testing import CliRunner

from dashboard.access import Access
from dashboard.app import create_app
from dashboard.cli import app
from dashboard.settings import SettingsProblem, settings_of, tokens_of

ANN, BOB = "a-secret-of-sixteen", "another-secret-of-bob"
BEARER = {"authorization": f"Bearer {ANN}"}


@pytest.fixture(scope="module")
def guarded_app(tmp_path_factory: pytest.TempPathFactory) -> Generator[FastAPI]:
    """An application with two persons."""
    service = make_service(tmp_path_factory.mktemp("guarded") / "runs", tokens={"ann": ANN, "bob": BOB})
    yield create_app(service.settings.runs, service)
    service.database.close()


@pytest.fixture
async def guarded(guarded_app: FastAPI) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client that is not logged in, from another machine."""
    async with client_of(guarded_app) as http:
        http.base_url = httpx.URL("https://dashboard.example")
        yield http


async def test_without_log_in_nothing_is_told(guarded: httpx.AsyncClient) -> None:
    for address in (
        "/api/runs",
        "/api/rollouts",
        "/api/tasks",
        "/api/openapi.json",
        "/api/events",
        "/api/me",
        "/api/x",
    ):
        reply = await guarded.get(address)
        assert (reply.status_code, reply.json()["code"]) == (401, "login_needed"), address
    for address in ("/", "/static/app/index.html", "/docs", "/health"):
        assert (await guarded.get(address)).status_code in (200, 503), address
    for header in ("Bearer wrong", "Bearer ", "Basic x", ANN):
        assert (await guarded.get("/api/runs", headers={"authorization": header})).status_code == 401
    assert (await guarded.post("/api/login", json={"token": "x" * 20})).status_code == 401


async def test_a_person_logs_in_and_is_named_in_the_audit_log(guarded: httpx.AsyncClient) -> None:
    reply = await guarded.post("/api/login", json={"token": BOB})
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "secure" in cookie and BOB not in cookie
    assert (await guarded.get("/api/me")).json()["name"] == "bob"
    await guarded.post("/api/tasks/upload", files={"file": ("t.json", b'[{"id": "a", "task": "b"}]')})
    assert [(line["who"], line["action"]) for line in (await guarded.get("/api/audit", headers=BEARER)).json()] == [
        ("bob", "upload")
    ]
    await guarded.post("/api/logout")
    assert (await guarded.get("/api/me")).status_code == 401


def test_a_session_ends_with_its_time_and_its_secret() -> None:
    access = Access({"ann": ANN})

    def who(session: str, of: Access = access) -> str | None:
        return of.who({b"cookie": f"dashboard_session={session}".encode()})

    session = access.session("ann")
    assert who(session) == "ann"
    assert who(access.session("ann", now=time.time() - 8 * 24 * 3_600)) is None
    assert who(session, Access({"ann": BOB})) is None and who(session, Access({"bob": ANN})) is None
    name, expiry, signature = session.split(".")
    for forged in (
        f"{name}.{int(expiry) + 1}.{signature}",
        f"{name}..{signature}",
        "x",
        "..",
        "ff.1.1",
        f"{name}.{'9' * 5000}.x",
    ):
        assert who(forged) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_page_of_another_origin_can_not_write(acting: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for method, address in (("POST", "/api/rollouts"), ("DELETE", "/api/rollouts/x"), ("POST", "/api/tasks/upload")):
        reply = await acting.request(method, address, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (403, "other_origin")


async def test_its_own_pages_and_programs_can_write(acting: httpx.AsyncClient) -> None:
    own = {"origin": "http://127.0.0.1:8100", "sec-fetch-site": "same-origin"}
    for headers in (own, {}):
        assert (await acting.delete("/api/rollouts/x", headers=headers)).status_code == 404


async def test_only_loopback_names_are_answered_without_log_in(acting: httpx.AsyncClient) -> None:
    reply = await acting.get("/api/rollouts", headers={"host": "rebound.example"})
    assert (reply.status_code, reply.json()["code"]) == (421, "wrong_host")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "dashboard.example"])
def test_off_loopback_it_does_not_start_without_log_in(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DASHBOARD_TOKENS", raising=False)
    result = CliRunner().invoke(app, ["--runs", str(tmp_path), "--host", host, "--port", "0"])
    assert result.exit_code == 1 and "log in" in result.stderr and result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["ann", "ann=short", "=" + "x" * 20, f"ann={ANN},bob"])
def test_bad_tokens_are_refused_and_not_told(text: str) -> None:
    with pytest.raises(SettingsProblem) as caught:
        tokens_of(text)
    assert ANN not in str(caught.value) and "short" not in str(caught.value)


def test_the_first_dashboards_environment_variables_are_read(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("")
    read = settings_of(tmp_path, environment={"MAX_WORKERS": "7", "SQL_DUMP_PATH": str(dump)})
    assert (read.max_workers, read.sql_dump) == (7, dump)
    assert settings_of(tmp_path, environment={}).max_workers == 4
    for bad in ({"MAX_WORKERS": "many"}, {"MAX_WORKERS": "0"}, {"SQL_DUMP_PATH": str(tmp_path / "none")}):
        with pytest.raises(SettingsProblem):
            settings_of(tmp_path, environment=bad)
