"""Rollouts by hand through the API: spawned, listed, cancelled, retried, judged, exported, deleted."""

import csv
import hashlib
import io
import json
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from acting import BUTTON, LINK, play, spawn, upload_miniwob
from stored_run import FAIL, HOSTILE, PICTURE, SHA256, SUCCESS

from dashboard.api.service import Service
from dashboard.database import searching
from dashboard.database.queue import claim
from dashboard.index.scanning import Scanner
from storage.store import TrajectoryStore

RUN_FAIL = f"demo:0001:rollout:{FAIL}"


@pytest.fixture(autouse=True)
async def tasks(acting: httpx.AsyncClient) -> None:
    """Two tasks."""
    await upload_miniwob(acting)


async def get(client: httpx.AsyncClient, address: str) -> Any:
    reply = await client.get(address)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_rollout_goes_from_asked_for_to_judged_with_its_log(
    acting: httpx.AsyncClient, service: Service
) -> None:
    [asked] = await spawn(acting)
    assert (asked["status"], asked["task_id"], asked["model"]) == ("pending", BUTTON, "scripted")
    assert play(service) == [asked["id"]]
    row = (await acting.get(f"/api/rollouts/{asked['id']}")).json()
    assert (row["status"], row["success"], row["reward"], row["steps"]) == ("completed", True, 1.0, 2)
    assert row["started_at"] and row["completed_at"] >= row["started_at"] >= row["created_at"]
    log = (await acting.get(f"/api/rollouts/{asked['id']}/log")).json()
    assert [line["status"] for line in log] == ["pending", "provisioning", "judging", "completed"]
    assert all(line["text"] for line in log)
    replay = (await acting.get(f"/api/rollouts/{asked['id']}/replay")).json()
    assert len(replay["steps"]) == 2 and replay["verdict"]["evidence"] == "seen" and replay["outcome"] == "success"
    picture = await acting.get(f"/api/rollouts/{asked['id']}/images/{SHA256}")
    assert picture.content == PICTURE and picture.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"task_id": "none"}, 404, "task_not_found"),
        ({"task_id": None}, 422, "invalid_request"),
        ({"model": "none"}, 422, "model_not_found"),
        ({"model": "gemini"}, 409, "model_unavailable"),
        ({"environment": "none"}, 422, "environment_not_found"),
        ({"attempts": 0}, 422, "invalid_request"),
        ({"attempts": 101}, 422, "invalid_request"),
        ({"priority": 1e400}, 422, "invalid_request"),
        ({"surprise": 1}, 422, "invalid_request"),
    ],
)
async def test_what_can_not_be_played_is_refused(
    acting: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object], status: int, code: str
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    body = json.dumps({"task_id": BUTTON, **asked})  # httpx refuses numbers that JSON does not have
    reply = await acting.post("/api/rollouts", content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert await get(acting, "/api/rollouts") == []


async def test_the_default_model_is_gemini_once_its_key_is_there(
    acting: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    assert (await acting.post("/api/rollouts", json={"task_id": BUTTON})).json()[0]["model"] == "scripted"
    monkeypatch.setenv("GEMINI_API_KEY", "key-of-the-test")
    [seed] = (await acting.post("/api/rollouts", json={"task_id": BUTTON})).json()
    [named] = await spawn(acting, model="gemini-2.5-computer-use-preview-10-2025")
    assert seed["model"] == named["model"] == "gemini"
    assert "key-of-the-test" not in (await acting.get("/api/models")).text


async def test_a_waiting_rollout_is_cancelled_at_once_and_then_deleted(
    acting: httpx.AsyncClient, service: Service
) -> None:
    [asked] = await spawn(acting)
    cancelled = await acting.delete(f"/api/rollouts/{asked['id']}")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert play(service) == []
    assert (await acting.post(f"/api/rollouts/{asked['id']}/cancel")).json()["status"] == "cancelled"
    assert (await acting.delete(f"/api/rollouts/{asked['id']}")).status_code == 200
    gone = await acting.delete(f"/api/rollouts/{asked['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "rollout_not_found")
    done = [(line["who"], line["action"]) for line in (await acting.get("/api/audit")).json()]
    assert done[:3] == [("local", "delete"), ("local", "cancel"), ("local", "cancel")]


async def test_a_running_rollout_is_asked_to_stop(acting: httpx.AsyncClient, service: Service) -> None:
    [asked] = await spawn(acting)
    with service.database.write() as session:
        claim(session, "worker", 1)
    reply = await acting.delete(f"/api/rollouts/{asked['id']}")
    assert (reply.status_code, reply.json()["status"], reply.json()["cancelling"]) == (202, "provisioning", True)
    assert (await acting.post(f"/api/rollouts/{asked['id']}/retry")).json()["code"] == "not_ended"


async def test_a_retry_is_a_new_rollout_of_the_same_task(acting: httpx.AsyncClient, service: Service) -> None:
    [asked] = await spawn(acting, max_steps=7, priority=3)
    play(service, reward=0.0)
    new = (await acting.post(f"/api/rollouts/{asked['id']}/retry")).json()
    assert (new["retry_of"], new["status"], new["priority"]) == (asked["id"], "pending", 3) and new["id"] != asked["id"]
    assert (await get(acting, f"/api/rollouts/{asked['id']}"))["status"] == "completed"


async def test_judging_again_and_a_persons_verdict(acting: httpx.AsyncClient, service: Service) -> None:
    [asked] = await spawn(acting)
    address = f"/api/rollouts/{asked['id']}"
    assert (await acting.post(f"{address}/rejudge")).json()["code"] == "no_trajectory"
    assert (await acting.post(f"{address}/verdict", json={"success": True})).json()["code"] == "not_ended"
    play(service, reward=0.0)
    human = (await acting.post(f"{address}/verdict", json={"success": True, "note": HOSTILE})).json()
    assert (human["success"], human["human"], human["reward"]) == (True, True, 0.0)
    assert (await acting.post(f"{address}/rejudge")).json()["status"] == "judging"
    with service.database.write() as session:
        assert [(one.id, one.status) for one in claim(session, "worker", 5)] == [(asked["id"], "judging")]
    reported = (await acting.get(f"{address}/judgments")).json()
    assert [(one["by"], one["human"], one["note"]) for one in reported] == [
        ("local", True, HOSTILE),
        ("miniwob", False, "seen"),
    ]
    assert (await get(acting, f"/api/tasks/{BUTTON}"))[
        "success_count"
    ] == 0  # while it is judged again it counts for nothing


async def test_equal_requests_can_be_answered_with_what_is_there(acting: httpx.AsyncClient, service: Service) -> None:
    first = await spawn(acting, attempts=2)
    play(service)
    assert {row["id"] for row in await spawn(acting, attempts=2, reuse=True)} == {row["id"] for row in first}
    more = await spawn(acting, attempts=3, reuse=True)
    assert len({row["id"] for row in more} - {row["id"] for row in first}) == 1
    assert not {row["id"] for row in await spawn(acting, reuse=True, max_steps=9)} & {row["id"] for row in first}


async def test_a_word_of_most_rollouts_is_found_newest_first(
    acting: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [row["id"] for row in await spawn(acting, attempts=5)] + [(await spawn(acting, task_id=LINK))[0]["id"]]
    rare = (await acting.get("/api/rollouts?q=click button")).json()
    monkeypatch.setattr(searching, "COUNTED", 3)
    for word, ids in {"click": asked[::-1], "click button": [row["id"] for row in rare], "absent": []}.items():
        found = await acting.get(f"/api/rollouts?q={word}&limit=4")
        assert [row["id"] for row in found.json()] == ids[:4], word
    assert len(rare) == 5
    filtered = await acting.get(f"/api/rollouts?q=click&task_id={LINK}")
    assert [row["id"] for row in filtered.json()] == asked[-1:]


async def test_the_list_is_filtered_searched_and_paged(acting: httpx.AsyncClient, service: Service) -> None:
    Scanner(service.runs, service.database).scan()
    await spawn(acting, attempts=3)
    play(service, reward=0.0)
    await spawn(acting, task_id=LINK, model="random")
    for query, number in {
        "": 8, "source=run": 4, "source=hand": 4, "status=pending": 1, "status=pending,failed": 2, "success=true": 1,
        "success=false": 5, "model=random": 1, "model=policy": 4, "run=demo&iteration=1": 3, "run=demo&stage=evaluate": 1,
        "failure=infra": 1, "failure=BROWSER_CRASHED": 1, "max_reward=0.5": 5, f"task_id={LINK}": 1, "q=window pwned": 1,
        "q=button": 6, 'q="; DROP': 0, "q=browser ended": 1, "judged_by_person=true": 0,
    }.items():  # fmt: skip
        reply = await acting.get(f"/api/rollouts?{query}")
        assert (len(reply.json()), reply.headers["x-total-count"]) == (number, str(number)), query
    seen: list[str] = []
    address: str | None = "/api/rollouts?limit=3"
    while address:
        page = await acting.get(address)
        seen += [row["id"] for row in page.json()]
        address = page.links["next"]["url"] if "next" in page.links else None
    assert len(seen) == len(set(seen)) == 8
    for bad in ("cursor=xyz", "cursor=%00", "status=tired", "limit=0", "limit=5000", "min_reward=nan", "source=x"):
        assert (await acting.get(f"/api/rollouts?{bad}")).status_code == 422, bad


async def test_rollouts_of_runs_are_read_only_but_for_peoples_verdicts(
    acting: httpx.AsyncClient, service: Service
) -> None:
    Scanner(service.runs, service.database).scan()
    address = f"/api/rollouts/{RUN_FAIL}"
    for method, path in (("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/rejudge")):
        reply = await acting.request(method, f"{address}{path}")
        assert (reply.status_code, reply.json()["code"]) == (409, "rollout_of_a_run")
    replay = await get(acting, f"{address}/replay")
    assert replay == await get(acting, f"/api/runs/demo/iterations/1/rollout/trajectories/{FAIL}")
    assert (await acting.get(f"{address}/images/{SHA256}")).content == PICTURE
    assert (await acting.post(f"{address}/verdict", json={"success": True})).json()["success"] is True
    Scanner(service.runs, service.database).rebuild()
    row = await get(acting, address)
    assert (row["success"], row["human"]) == (True, True)
    lines = [
        line for line in (await acting.get("/api/analysis?by=domain&source=run")).json() if line["key"] == "click-link"
    ]
    assert (lines[0]["judged"], lines[0]["successes"]) == (1, 1)


async def test_the_export_is_what_the_list_shows(acting: httpx.AsyncClient, service: Service) -> None:
    Scanner(service.runs, service.database).scan()
    await spawn(acting, attempts=2)
    shown = (await acting.get("/api/rollouts?status=completed")).json()
    file = await acting.get("/api/export/rollouts.csv?status=completed")
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["id"] for row in rows] == [row["id"] for row in shown]
    assert "attachment" in file.headers["content-disposition"]
    assert (await acting.get("/api/export/rollouts.json?status=completed")).json() == shown
    assert len((await acting.get("/api/export/rollouts.jsonl?source=hand")).text.splitlines()) == 2
    parquet = await acting.get("/api/export/rollouts.parquet?status=completed")
    table = pyarrow.parquet.read_table(io.BytesIO(parquet.content)).to_pylist()
    assert table == [{name: row[name] for name in table[0]} for row in shown] and set(table[0]) == set(rows[0])
    assert (
        pyarrow.parquet.read_table(
            io.BytesIO((await acting.get("/api/export/rollouts.parquet?q=absent")).content)
        ).num_rows
        == 0
    )
    assert (await acting.get("/api/export/rollouts.json?status=cancelled")).json() == []
    assert (await acting.get("/api/export/rollouts.exe")).status_code == 422


@pytest.mark.parametrize(
    "rest",
    [
        "images/..%2f..%2fdashboard.db",
        f"images/{'0' * 64}",
        "recorded/..%2ftrajectory.json",
        "recorded/trajectory.json",
    ],
)
async def test_no_path_leaves_a_rollouts_folder(acting: httpx.AsyncClient, service: Service, rest: str) -> None:
    [asked] = await spawn(acting)
    play(service)
    assert (await acting.get(f"/api/rollouts/{asked['id']}/{rest}")).status_code == 404
    assert (await acting.get(f"/api/rollouts/demo:0001:..%2f:{SUCCESS}/replay")).status_code == 404


async def test_markup_that_poses_as_a_picture_is_not_served(acting: httpx.AsyncClient, service: Service) -> None:
    [asked] = await spawn(acting)
    play(service)
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    name = hashlib.sha256(svg).hexdigest()
    TrajectoryStore(service.settings.rollouts).write_image(name, svg)
    reply = await acting.get(f"/api/rollouts/{asked['id']}/images/{name}")
    assert reply.status_code == 500 and reply.headers["content-type"] == "application/json"
