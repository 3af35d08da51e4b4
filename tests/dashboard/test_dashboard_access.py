"""Access: log-in off loopback, users with roles, no writes from other origins, no other host names."""

import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
from acting import client_of, empty, make_service
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import select, update
from typer.testing import CliRunner

from dashboard.access import passwords
from dashboard.access.access import WRONG_AT_MOST, Access, Person, TooManyTries
from dashboard.access.people import add_user, digest, new_token
from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.cli import app
from dashboard.database.tables import CredentialRow
from dashboard.settings import SettingsProblem, settings_of, tokens_of

ANN, BOB = "a-secret-of-sixteen", "another-secret-of-bob"
PASSWORD = "correct horse battery"
BEARER = {"authorization": f"Bearer {ANN}"}


@pytest.fixture(autouse=True)
def fast_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id with its smallest costs: these tests hash many passwords."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(passwords, "_of_nobody", "")


@pytest.fixture(scope="module")
def guarded_service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """The parts of an application with two persons."""
    service = make_service(tmp_path_factory.mktemp("guarded") / "runs", tokens={"ann": ANN, "bob": BOB})
    yield service
    service.database.close()


@pytest.fixture(scope="module")
def guarded_app(guarded_service: Service) -> FastAPI:
    """The application of two persons."""
    return create_app(guarded_service.settings.runs, guarded_service)


@pytest.fixture
async def guarded(guarded_app: FastAPI, guarded_service: Service) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client that is not logged in, from another machine."""
    empty(guarded_service)
    async with client_of(guarded_app) as http:
        http.base_url = httpx.URL("https://dashboard.example")
        yield http


async def test_without_log_in_nothing_is_shown(guarded: httpx.AsyncClient) -> None:
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


async def test_a_session_ends_with_its_time_its_secret_and_its_log_out(guarded_service: Service) -> None:
    empty(guarded_service)
    database = guarded_service.database

    async def who(secret: str, tokens: dict[str, str]) -> Person | None:
        return await Access(tokens, database).who({b"cookie": f"dashboard_session={secret}".encode()})

    access = Access({"ann": ANN}, database)
    begun = access.log_in(ANN)
    assert begun is not None and access.log_in(BOB) is None
    person, secret = begun
    assert person == await who(secret, {"ann": ANN}) == Person("ann", "admin")
    assert await who(secret, {"ann": BOB}) is None and await who(secret, {"bob": ANN}) is None
    for forged in (secret[:-1], f"{secret}x", "", ANN, digest(secret)):
        assert await who(forged, {"ann": ANN}) is None
    assert await Access({"ann": ANN}, database).who({b"authorization": f"Bearer {secret}".encode()}) is None
    with database.write() as session:
        assert session.scalars(select(CredentialRow.digest)).all() == [digest(secret)]
        session.execute(update(CredentialRow).values(expires_at=time.time() - 1))
    assert await who(secret, {"ann": ANN}) is None
    _, another = access.log_in(ANN) or (None, "")
    access.log_out({b"cookie": f"dashboard_session={another}".encode()})
    assert await who(another, {"ann": ANN}) is None


async def test_users_with_roles_passwords_and_tokens(guarded: httpx.AsyncClient, guarded_app: FastAPI) -> None:
    """The whole life of users: an admin adds them, each may do what the role says, and what is removed ends at once."""

    async def added(name: str, role: str, password: str = PASSWORD) -> tuple[int, object]:
        asked = {"name": name, "role": role, "password": password}
        reply = await guarded.post("/api/users", json=asked, headers=BEARER)
        return reply.status_code, reply.json()

    for name, role, password in (
        ("vic", "viewer", PASSWORD),
        ("../x", "admin", PASSWORD),
        ("local", "admin", PASSWORD),
    ):
        status, answer = await added(name, role, password)
        assert status == 409, answer
    assert (await added("amy", "admin", "short"))[0] == 409 and (await added("amy", "admin", "a" * 20))[0] == 409
    for name, role in (("amy", "admin"), ("rob", "runner"), ("vic", "viewer")):
        status, users = await added(name, role)
        assert status == 200 and PASSWORD not in str(users) and "argon2" not in str(users)
    assert (await added("Amy", "viewer"))[0] == 409

    async with client_of(guarded_app) as browser:
        browser.base_url = guarded.base_url
        me = await browser.post("/api/login", json={"name": "rob", "password": PASSWORD})
        assert (me.json()["name"], me.json()["role"]) == ("rob", "runner")
        assert (await browser.post("/api/rollouts/x/cancel")).status_code == 404
        made = (await browser.post("/api/me/tokens", json={"label": "nightly", "days": 1})).json()
        token = {"authorization": f"Bearer {made['secret']}"}
        assert (await guarded.get("/api/me", headers=token)).json()["name"] == "rob"
        assert made["secret"] not in (await browser.get("/api/me/tokens")).text
        await browser.delete(f"/api/me/tokens/{made['number']}")
        assert (await guarded.get("/api/me", headers=token)).status_code == 401

        new = {"old": "wrong wrong wrong", "new": "another good password"}
        assert (await browser.post("/api/me/password", json=new)).json()["code"] == "wrong_password"
        assert (await browser.post("/api/me/password", json=new | {"old": PASSWORD})).status_code == 200
        assert (await browser.get("/api/me")).status_code == 401  # all sessions have ended

    assert (await guarded.patch("/api/users/amy", json={"role": "viewer"}, headers=BEARER)).status_code == 409
    assert (await guarded.delete("/api/users/amy", headers=BEARER)).status_code == 409  # the last admin of the database
    assert (await guarded.delete("/api/users/rob", headers=BEARER)).status_code == 200
    assert (await guarded.delete("/api/users/rob", headers=BEARER)).json()["code"] == "user_not_found"
    reported = [
        (line["who"], line["action"], line["subject"])
        for line in (await guarded.get("/api/audit", headers=BEARER)).json()
    ]
    assert reported == [
        ("ann", "remove user", "rob"),
        ("rob", "change password", "rob"),
        ("rob", "revoke token", "rob"),
        ("rob", "make token", "rob"),
        *(("ann", "add user", name) for name in ("vic", "rob", "amy")),
    ]


async def test_no_write_is_open_to_viewers_and_no_users_to_runners(
    guarded: httpx.AsyncClient, guarded_app: FastAPI, guarded_service: Service
) -> None:
    """Every route of the description, so that a new one can't be forgotten."""
    with guarded_service.database.write() as session:
        add_user(session, "amy", "admin", PASSWORD)
        tokens = {}
        for name in ("viewer", "runner"):
            add_user(session, name, name, None)
            tokens[name] = {"authorization": f"Bearer {new_token(session, name, 'test', 1)}"}
    writes = 0
    for path, methods in guarded_app.openapi()["paths"].items():
        address = path.replace("{", "").replace("}", "")
        for method in (name.upper() for name in methods):
            for_admins = address.startswith(("/api/users", "/api/audit"))
            if for_admins:
                reply = await guarded.request(method, address, headers=tokens["runner"])
                assert (reply.status_code, reply.json()["code"]) == (403, "role_needed"), (method, address)
            if method != "GET" and not address.startswith(("/api/me", "/api/login", "/api/logout")):
                reply = await guarded.request(method, address, headers=tokens["viewer"])
                assert (reply.status_code, reply.json()["code"]) == (403, "role_needed"), (method, address)
                writes += 1
    assert writes >= 12
    assert (await guarded.get("/api/rollouts", headers=tokens["viewer"])).status_code == 200
    assert (await guarded.post("/api/rollouts", json={"task_id": "x"}, headers=tokens["runner"])).status_code == 404


async def test_guessing_a_password_is_slowed_down_for_unknown_names_too(guarded_service: Service) -> None:
    empty(guarded_service)
    access = Access({}, guarded_service.database)
    for name in ("amy", "nobody-of-this-name"):
        for _ in range(WRONG_AT_MOST):
            assert access.log_in_with_password(name, "wrong") is None
        with pytest.raises(TooManyTries):
            access.log_in_with_password(name, "wrong")


async def test_with_the_first_user_everybody_logs_in_also_on_loopback(
    acting: httpx.AsyncClient, service: Service
) -> None:
    assert (await acting.get("/api/me")).json() == {
        "name": "local",
        "role": "admin",
        "needs_login": False,
        "has_account": False,
    }
    assert (await acting.post("/api/me/tokens", json={"label": "x"})).json()["code"] == "no_account"
    first = {"name": "amy", "role": "admin", "password": PASSWORD}
    assert (await acting.post("/api/users", json=first)).status_code == 200
    assert (await acting.get("/api/rollouts")).status_code == 401
    await acting.post("/api/login", json={"name": "amy", "password": PASSWORD})
    assert (await acting.delete("/api/users/amy")).status_code == 200
    assert (await acting.get("/api/rollouts")).status_code == 200  # nobody is left, and it is loopback
    always = Access({}, service.database, always=True)
    assert await always.who({}) is None


def test_users_on_the_command_line(tmp_path: Path) -> None:
    runs = ["--runs", str(tmp_path)]

    def users(*arguments: str, given: str = "") -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["users", *arguments, *runs], input=given)
        return result.exit_code, result.stdout, result.stderr

    assert users("add", "vic", "--role", "viewer", given=f"{PASSWORD}\n")[0] == 1  # the first one is an admin
    assert users("add", "amy", "--role", "admin", given="short\n")[0] == 1
    assert users("add", "amy", "--role", "admin", given=f"{PASSWORD}\n")[0] == 0
    assert users("add", "bot", "--role", "runner")[0] == 1  # no password was given
    assert users("add", "bot", "--role", "runner", "--no-password")[0] == 0
    status, secret, _ = users("token", "bot", "--label", "ci")
    assert status == 0 and secret.startswith("rll_") and secret.count("\n") == 1
    assert users("role", "bot", "viewer")[0] == 0
    status, listed, _ = users("list")
    assert status == 0 and "amy  admin  password" in listed and "bot  viewer  tokens only" in listed
    for bad in (("remove", "amy"), ("remove", "nobody-here"), ("role", "amy", "viewer"), ("token", "x")):
        status, _, error = users(*bad)
        assert status == 1 and error.startswith("dashboard: ") and error.count("\n") == 1, bad
    assert (tmp_path / ".dashboard").stat().st_mode & 0o077 == 0
    assert users("remove", "bot")[0] == 0 and users("remove", "amy")[0] == 0


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
def test_bad_tokens_are_refused_and_not_repeated(text: str) -> None:
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
