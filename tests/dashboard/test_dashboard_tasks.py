"""Tasks: uploads of every kind, good and bad, and their counts."""

import json
import math

import httpx
import pytest
from acting import BUTTON, SEED_FILE, play, spawn, upload, upload_miniwob
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_run import HOSTILE

from dashboard.api.service import Service

ROW = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "task", "answer", "x"]), inner),
    max_leaves=6,
)


async def test_the_first_dashboards_file_is_taken_and_reported_row_by_row(acting: httpx.AsyncClient) -> None:
    rows = [*SEED_FILE, {"id": "p 3", "task": "x"}, {"task": "no id"}, 7, {"id": "p1", "task": "again"}]
    report = (await upload(acting, rows)).json()
    assert (report["count"], report["inserted"], report["updated"]) == (2, 2, 0)
    assert [one["index"] for one in report["rejected"]] == [2, 3, 4, 5]
    assert "id" in report["rejected"][0]["reason"] and "twice" in report["rejected"][3]["reason"]
    again = (await upload(acting, [{"id": "p1", "task": "Changed?", "answer": {"plan": "Pro"}}])).json()
    assert (again["inserted"], again["updated"]) == (0, 1)
    task = (await acting.get("/api/tasks/p1")).json()
    assert (task["task"], json.loads(task["answer"])) == ("Changed?", {"plan": "Pro"})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[",
        b"null",
        b"7",
        b'"text"',
        b"\xff\xfe[\x00]\x00",
        b"[" * 100_000,
        b'{"tasks": 3}',
        b"\x00" * 50,
        b"[]",
    ],
)
async def test_a_file_that_holds_no_tasks_is_no_error_of_the_server(acting: httpx.AsyncClient, content: bytes) -> None:
    reply = await upload(acting, content)
    reported = reply.json()
    assert reply.status_code in (200, 422), reply.text
    assert reported["problem"] if reply.status_code == 422 else reported["rejected"] and reported["count"] == 0
    assert (await acting.get("/api/tasks")).json() == []


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, max_size=5))
async def test_any_json_is_answered_row_by_row(acting: httpx.AsyncClient, rows: list[object]) -> None:
    reply = await upload(acting, rows)
    if reply.status_code == 200:
        assert reply.json()["count"] + len(reply.json()["rejected"]) == len(rows)
    else:
        assert reply.status_code == 422 and not rows, reply.text


async def test_a_request_that_is_no_upload_is_refused(acting: httpx.AsyncClient) -> None:
    assert (await acting.post("/api/tasks/upload", json=SEED_FILE)).status_code == 422
    unknown = await acting.post("/api/tasks/upload?environment=none", files={"file": ("t", b"[]")})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "environment_not_found")
    large = await acting.post("/api/tasks/upload", content=b"x", headers={"content-length": str(200 << 20)})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")


async def test_tasks_have_pages_search_and_success_with_its_interval(
    acting: httpx.AsyncClient, service: Service
) -> None:
    await upload_miniwob(acting)
    await upload(acting, [{"id": f"t{number:03d}", "task": f"Find 100 % of plan_{number}"} for number in range(25)])
    found: list[str] = []
    address: str | None = "/api/tasks?limit=10"
    while address:
        page = await acting.get(address)
        found += [task["id"] for task in page.json()]
        address = page.links["next"]["url"] if "next" in page.links else None
    assert len(found) == len(set(found)) == 27 and found == sorted(found)
    assert [task["id"] for task in (await acting.get("/api/tasks?q=plan_7")).json()] == ["t007"]
    assert (await acting.get("/api/tasks", params={"q": "100 % plan_"})).json()[0]["id"] == "t000"
    assert (await acting.get("/api/tasks", params={"q": "%%_"})).json() == []
    await spawn(acting, attempts=3)
    play(service)
    await spawn(acting)
    play(service, reward=0.0)
    task = (await acting.get(f"/api/tasks/{BUTTON}")).json()
    assert (task["rollout_count"], task["completed_count"], task["success_count"], task["job_count"]) == (4, 4, 3, 2)
    assert task["success_rate"] == 0.75 and 0.3 < task["success_low"] < 0.75 < task["success_high"] < 0.96


async def test_hostile_text_is_stored_as_it_is_and_answered_as_json(acting: httpx.AsyncClient) -> None:
    await upload(acting, [{"id": "x", "task": HOSTILE, "answer": "\x00\u202e"}])
    reply = await acting.get("/api/tasks/x")
    assert reply.headers["content-type"] == "application/json" and reply.json()["task"] == HOSTILE


@pytest.mark.parametrize("name", ["none", "..%2f..%2fetc", "%00", "a" * 5_000, "'; DROP TABLE tasks; --"])
async def test_a_task_that_is_not_there_is_a_404(acting: httpx.AsyncClient, name: str) -> None:
    reply = await acting.get(f"/api/tasks/{name}")
    assert reply.status_code == 404 and set(reply.json()) == {"code", "problem"}


async def test_a_number_that_is_none_never_gets_into_an_answer(acting: httpx.AsyncClient) -> None:
    reply = await upload(
        acting, b'[{"id": "n", "task": "x", "answer": NaN}, {"id": "m", "task": "y", "expect": {"kind": NaN}}]'
    )
    assert [one["index"] for one in reply.json()["rejected"]] == [1]
    assert all(
        not isinstance(value, float) or math.isfinite(value) for value in (await acting.get("/api/tasks")).json()
    )
