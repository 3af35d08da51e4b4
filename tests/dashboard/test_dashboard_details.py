"""Details of a replay: its tokens, its requests, the file to send around; and what rollouts use."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from acting import BUTTON, play, spawn, upload_miniwob
from sqlalchemy import select
from stored_run import FAIL, HOSTILE, SUCCESS, write
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel
from tokenizers.models import WordLevel

from agent.types import Recorded, RecordedKind, Step
from browser_service.models import Observation, Screenshot, Viewport
from dashboard.api.service import Service
from dashboard.database.tables import RolloutRow
from dashboard.disk import remove_old_pictures, remove_old_recordings
from storage.store import TrajectoryStore

STAGE = "/api/runs/demo/iterations/1/rollout/trajectories"


def give_tokenizer(run: Path) -> None:
    """A policy whose tokenizer has words for the stored tokens; the second one is half a character."""
    tokenizer = Tokenizer(WordLevel({"click": 4, "\u0120now": 5}, unk_token="click"))
    tokenizer.decoder = ByteLevel()
    (run / "policies/v0001").mkdir(parents=True)
    tokenizer.save(str(run / "policies/v0001/tokenizer.json"))


def give_requests(stage: Path, trajectory_id: str) -> None:
    """A log of two requests: one when the start page was opened, one of the first action."""
    lines: list[dict[str, Any]] = [
        {"steps": 2, "requests": 7},
        {
            "step": 1,
            "at_s": 0.1,
            "method": "GET",
            "url": "http://127.0.0.1/",
            "resource_type": "document",
            "status": 200,
        },
        {
            "step": 2,
            "at_s": 0.9,
            "method": "POST",
            "url": f"http://127.0.0.1/{HOSTILE}",
            "resource_type": "fetch",
            "content_type": "text/plain",
            "body": HOSTILE * 100,
            "error": "net::ERR_FAILED",
        },
    ]
    record(stage, trajectory_id, "network", lines)


def give_console(stage: Path, trajectory_id: str) -> None:
    """A log of one message, of the first action."""
    message = {"step": 2, "at_s": 0.9, "kind": "error", "text": HOSTILE, "url": "http://127.0.0.1/app.js", "line": 7}
    record(stage, trajectory_id, "console", [{"steps": 2, "full": True}, message])


def record(stage: Path, trajectory_id: str, kind: RecordedKind, lines: list[dict[str, Any]]) -> None:
    """Writes a log, and names it in the trajectory."""
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    write(stage / trajectory_id / f"{kind}.jsonl", text)
    store = TrajectoryStore(stage)
    found = store.read(trajectory_id)
    one = Recorded(kind=kind, file=f"{kind}.jsonl", size=len(text.encode()))
    store.write(found.model_copy(update={"recorded": (*found.recorded, one)}), {})


async def test_tokens_have_their_text_and_log_probability(client: httpx.AsyncClient, runs: Path) -> None:
    bare = (await client.get(f"{STAGE}/{SUCCESS}/steps/1/tokens")).json()
    assert bare == [{"id": 4, "text": "", "logprob": -0.5}, {"id": 5, "text": "", "logprob": -0.1}]
    give_tokenizer(runs / "demo")
    named = (await client.get(f"{STAGE}/{SUCCESS}/steps/1/tokens")).json()
    assert [token["text"] for token in named] == ["click", " now"]
    for bad in (f"{SUCCESS}/steps/7", f"{SUCCESS}/steps/-1", "none/steps/1"):
        assert (await client.get(f"{STAGE}/{bad}/tokens")).status_code == 404


async def test_a_damaged_tokenizer_hides_no_probability(client: httpx.AsyncClient, runs: Path) -> None:
    write(runs / "demo/policies/v0001/tokenizer.json", "{")
    assert [token["id"] for token in (await client.get(f"{STAGE}/{SUCCESS}/steps/1/tokens")).json()] == [4, 5]


async def test_requests_are_shown_with_their_step(client: httpx.AsyncClient, runs: Path) -> None:
    assert (await client.get(f"{STAGE}/{SUCCESS}/requests")).status_code == 404
    stage = runs / "demo/iterations/0001/rollout"
    give_requests(stage, SUCCESS)
    found = (await client.get(f"{STAGE}/{SUCCESS}/requests")).json()
    assert found["total"] == 7
    assert [(row["step"], row["method"], row["status"]) for row in found["rows"]] == [
        (None, "GET", 200),
        (1, "POST", None),
    ]
    assert len(found["rows"][1]["body"]) == 2_000
    write(stage / SUCCESS / "network.jsonl", "{}")
    reply = await client.get(f"{STAGE}/{SUCCESS}/requests")
    assert (reply.status_code, reply.json()["code"]) == (500, "damaged") and str(runs) not in reply.text


async def test_the_console_is_shown_with_its_step(client: httpx.AsyncClient, runs: Path) -> None:
    stage = runs / "demo/iterations/0001/rollout"
    give_console(stage, SUCCESS)
    found = (await client.get(f"{STAGE}/{SUCCESS}/console")).json()
    assert found["full"] and [(row["step"], row["kind"], row["text"]) for row in found["rows"]] == [
        (1, "error", HOSTILE)
    ]
    assert (await client.get(f"{STAGE}/{SUCCESS}/requests")).status_code == 404
    (stage / SUCCESS / "console.jsonl").unlink()
    (stage / SUCCESS / "console.jsonl").symlink_to("/etc/passwd")
    assert (await client.get(f"{STAGE}/{SUCCESS}/console")).status_code == 404


async def test_the_file_is_downloaded_and_has_a_persons_verdict(acting: httpx.AsyncClient, service: Service) -> None:
    reply = await acting.get(f"{STAGE}/{FAIL}/file.html")
    assert reply.headers["content-disposition"] == f'attachment; filename="{FAIL}.html"'
    assert "<script" not in reply.text and "data:image/png;base64," in reply.text
    assert (await acting.get(f"{STAGE}/..%2f..%2fx/file.html")).status_code == 404
    await upload_miniwob(acting)
    await spawn(acting)
    [rollout] = play(service, reward=0.0)
    await acting.post(f"/api/rollouts/{rollout}/verdict", json={"success": True, "note": "it was there"})
    text = (await acting.get(f"/api/rollouts/{rollout}/file.html")).text
    assert "it was there" in text and "<b>success</b>" in text


async def test_a_paused_rollout_waits_and_only_a_played_one_can_be_paused(
    acting: httpx.AsyncClient, service: Service
) -> None:
    await upload_miniwob(acting)
    [row] = await spawn(acting)
    reply = await acting.post(f"/api/rollouts/{row['id']}/pause")
    assert (reply.status_code, reply.json()["code"]) == (409, "not_played")
    play(service)
    assert (await acting.post(f"/api/rollouts/{row['id']}/resume")).status_code == 409
    assert (await acting.get(f"/api/tasks/{BUTTON}")).status_code == 200


async def test_views_are_saved_replaced_and_deleted(acting: httpx.AsyncClient) -> None:
    async def save(**asked: str) -> httpx.Response:
        return await acting.post("/api/views", json=asked)

    await save(name=HOSTILE[:100], query="status=failed")
    views = (await save(name="mine", query="status=failed")).json()
    assert [view["name"] for view in views] == sorted([HOSTILE[:100], "mine"])
    views = (await save(name="mine", query="model=policy&q=a%26b")).json()
    [mine] = [view for view in views if view["name"] == "mine"]
    assert len(views) == 2 and mine["query"] == "model=policy&q=a%26b" and mine["who"] == "local"
    for bad in ({"name": " ", "query": ""}, {"name": "x", "query": "color=red"}, {"name": "x" * 101, "query": ""}):
        assert (await save(**bad)).status_code == 422
    assert len((await acting.delete(f"/api/views/{mine['number']}")).json()) == 1
    assert (await acting.delete(f"/api/views/{mine['number']}")).status_code == 200


async def test_disk_and_missing_parts_are_reported(acting: httpx.AsyncClient, service: Service) -> None:
    give_requests(service.settings.runs / "demo/iterations/0001/rollout", SUCCESS)
    [run] = [row for row in (await acting.get("/api/disk")).json() if row["kind"] == "run"]
    assert run["name"] == "demo" and run["bytes"] > run["pictures"] + run["recordings"] > run["recordings"] > 0
    assert (await acting.get("/api/browsers")).json()["problem"]


async def test_old_recordings_are_removed_unless_a_person_has_judged(
    acting: httpx.AsyncClient, service: Service
) -> None:
    await upload_miniwob(acting)
    await spawn(acting, attempts=3)
    ids = play(service)
    for rollout in ids:
        write(service.settings.rollouts / rollout / "video.webm", "film")
    await acting.post(f"/api/rollouts/{ids[0]}/verdict", json={"success": False})
    with service.database.read() as session:
        assert remove_old_recordings(session, service.settings.rollouts, 1) == 0
        assert remove_old_recordings(session, service.settings.rollouts, -1) == 2
    left = [rollout for rollout in ids if (service.settings.rollouts / rollout / "video.webm").exists()]
    assert left == ids[:1]
    assert len(TrajectoryStore(service.settings.rollouts).ids()) == 3


async def test_old_pictures_are_removed_but_those_that_a_judged_or_a_running_rollout_shows(
    acting: httpx.AsyncClient, service: Service
) -> None:
    await upload_miniwob(acting)
    await spawn(acting, attempts=3)
    rollouts, store = service.settings.rollouts, TrajectoryStore(service.settings.rollouts)
    own: dict[str, str] = {}
    shared = b"\x89PNG shown by all"
    for rollout in play(service):
        data = rollout.encode()
        own[rollout] = sha256_of(data)
        shown = {sha256_of(data): data, sha256_of(shared): shared}
        one = store.read(rollout)
        store.write(one.model_copy(update={"steps": tuple(step_with(sha256) for sha256 in shown)}), shown)
    judged, *others = own
    await acting.post(f"/api/rollouts/{judged}/verdict", json={"success": False})
    with service.database.read() as session:
        assert remove_old_pictures(session, rollouts, 1) == 0
        assert remove_old_pictures(session, rollouts, -1) >= 2
        assert remove_old_pictures(session, rollouts, -1) == 0
    assert store.has_image(own[judged]) and store.has_image(sha256_of(shared))
    assert not any(store.has_image(own[rollout]) for rollout in others)
    assert len(store.ids()) == 3
    await spawn(acting, attempts=1)
    with service.database.write() as session:
        [waiting] = session.scalars(select(RolloutRow).where(RolloutRow.status == "pending"))
        waiting.status = "running"
    store.write_image(own[others[0]], others[0].encode())
    with service.database.read() as session:
        assert remove_old_pictures(session, rollouts, -1) == 0


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def step_with(sha256: str) -> Step:
    shot = Screenshot(sha256=sha256, media_type="image/png", width=1, height=1)
    page = Observation(url="http://a/", title="A", viewport=Viewport(), screenshot=shot)
    return Step(index=0, observation=page, completion=None, action=None)


@pytest.mark.parametrize("path", ["/api/users", "/api/audit", "/api/views", "/api/containers"])
async def test_lists_for_operators_are_empty_at_first(acting: httpx.AsyncClient, path: str) -> None:
    found = (await acting.get(path)).json()
    assert found == [] or found["rows"] == []
