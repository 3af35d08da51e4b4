"""The JSON routes over a real run folder: what they tell, what they refuse, what damage does."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from stored_run import (
    ALARM,
    BROKEN,
    FAIL,
    GAP_EDGES,
    HELDOUT,
    HOSTILE,
    PICTURE,
    SHA256,
    SUCCESS,
    film,
    write,
    write_done,
    write_run,
)

from storage.upkeep.compaction import compact

STAGE = "/api/runs/demo/iterations/1/rollout"


async def problem(client: httpx.AsyncClient, address: str, status: int = 404) -> str:
    """The sentence that an address is refused with."""
    reply = await client.get(address)
    assert reply.status_code == status, reply.text
    assert set(reply.json()) == {"code", "problem"}
    return reply.json()["problem"]


async def test_the_list_tells_where_each_run_is(client: httpx.AsyncClient) -> None:
    [run] = (await client.get("/api/runs")).json()
    assert (run["name"], run["iterations"], run["iterations_planned"], run["finished"]) == ("demo", 1, 2, False)
    assert run["now"] == "iteration 2, rollout 7/16"
    assert (run["train_last"], run["heldout_first"], run["heldout_last"]) == (0.5, 0.25, 0.25)
    assert run["problems"] == []


async def test_a_compacted_stage_looks_as_before(client: httpx.AsyncClient, runs: Path) -> None:
    addresses = [f"{STAGE}/trajectories", f"{STAGE}/trajectories/{SUCCESS}"]
    before = [(await client.get(address)).json() for address in addresses]
    compact(runs / "demo/iterations/0001/rollout")
    assert not (runs / "demo/iterations/0001/rollout" / SUCCESS).exists()
    assert [(await client.get(address)).json() for address in addresses] == before
    assert (await client.get(f"{STAGE}/images/{SHA256}")).content == PICTURE


async def test_a_run_is_a_table_by_iteration(client: httpx.AsyncClient, runs: Path) -> None:
    run = (await client.get("/api/runs/demo")).json()
    assert [row["iteration"] for row in run["table"]] == [0, 1, 2]
    first = run["table"][1]
    assert (first["train_success"], first["heldout_success"], first["steps_mean"]) == (0.5, None, 2.0)
    assert {stage["stage"]: stage["seconds"] for stage in first["stages"]} == {
        "rollout": 20.5,
        "judge": 0.1,
        "policy_update": 9.0,
    }
    assert ["rollout.group_size", "4"] in run["config"]
    assert not run["has_curve"]
    (runs / "demo/learning_curve.png").write_bytes(PICTURE)
    assert (await client.get("/api/runs/demo")).json()["has_curve"]
    assert (await client.get("/api/runs/demo/learning_curve.png")).content == PICTURE


async def test_an_update_has_metrics_histograms_and_alarms(client: httpx.AsyncClient, runs: Path) -> None:
    async def update() -> dict[str, Any]:
        stages = (await client.get("/api/runs/demo")).json()["table"][1]["stages"]
        return next(stage for stage in stages if stage["stage"] == "policy_update")

    found = await update()
    assert (found["metrics"]["loss"], found["counts"]["samples"], found["alarms"]) == (0.25, 4, [ALARM])
    assert found["histograms"]["gap"] == {"edges": list(GAP_EDGES), "counts": [9, 40, 30, 12, 5, 1, 0]}
    # As earlier versions wrote it.
    write_done(runs / "demo/iterations/0001/policy_update", seconds=9.0, metrics={"loss": 0.25})
    found = await update()
    assert (found["metrics"], found["histograms"], found["alarms"]) == ({"loss": 0.25}, {}, [])


async def test_a_run_is_finished_when_its_last_evaluation_is(client: httpx.AsyncClient, runs: Path) -> None:
    report = '{"stage": "evaluate", "iteration": 2, "seconds": 1, "metrics": {"success_rate": 1.0}}'
    write(runs / "demo/iterations/0002/evaluate/done.json", report)
    run = (await client.get("/api/runs/demo")).json()
    assert run["finished"]
    assert run["heldout_last"] == 1.0


async def test_trajectories_have_their_verdicts_and_failures(client: httpx.AsyncClient) -> None:
    listed = (await client.get(f"{STAGE}/trajectories")).json()
    assert {row["id"]: row["outcome"] for row in listed["rows"]} == {SUCCESS: "success", FAIL: "fail", BROKEN: "broken"}
    assert {row["id"]: row["reward"] for row in listed["rows"]} == {SUCCESS: 1.0, FAIL: 0.0, BROKEN: None}
    assert listed["rows"][2]["failure"]["code"] == "BROWSER_CRASHED"
    assert [one["trajectory_id"] for one in listed["broken_attempts"]] == [BROKEN]
    assert listed["choices"]["outcome"] == {"success": 1, "fail": 1, "unjudged": 0, "broken": 1}
    heldout = (await client.get("/api/runs/demo/iterations/0/evaluate/trajectories")).json()
    assert [(row["id"], row["outcome"]) for row in heldout["rows"]] == [(HELDOUT, "fail")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("outcome=success", SUCCESS),
        ("stop=failed", BROKEN),
        ("domain=click-link", FAIL),
        ("outcome=fail&stop=done", FAIL),
    ],
)
async def test_trajectories_are_filtered(client: httpx.AsyncClient, query: str, expected: str) -> None:
    listed = (await client.get(f"{STAGE}/trajectories?{query}")).json()
    assert [row["id"] for row in listed["rows"]] == [expected]
    assert listed["total"] == 3


async def test_a_new_verdict_is_shown_at_once(client: httpx.AsyncClient, runs: Path) -> None:
    path = runs / "demo/iterations/0001/judge/verdicts.jsonl"
    assert (await client.get(f"{STAGE}/trajectories/{FAIL}")).json()["verdict"]["reward"] == 0.0
    verdicts = path.read_text().replace('"reward":0.0', '"reward":1.0')
    path.unlink()
    assert (await client.get(f"{STAGE}/trajectories/{FAIL}")).json()["verdict"] is None
    path.write_text(verdicts)
    assert (await client.get(f"{STAGE}/trajectories/{FAIL}")).json()["outcome"] == "success"


async def test_a_replay_tells_every_step(client: httpx.AsyncClient) -> None:
    replay = (await client.get(f"{STAGE}/trajectories/{FAIL}")).json()
    assert replay["verdict"]["evidence"] == HOSTILE
    unclear, clicked = replay["steps"]
    assert unclear["action"] is None
    assert unclear["feedback"].startswith("no action in")
    assert clicked["action"] == {"kind": "click_id", "id": 2, "button": "left", "clicks": 1}
    assert clicked["completion"]["tokens"] == 2
    assert clicked["completion"]["logprob_mean"] == pytest.approx(-0.3)
    assert clicked["seconds"] == {"think": 0.4, "act": 0.12, "settle": 0.05}
    assert (clicked["begins_at"], replay["steps_end_at"]) == (0.4, 0.8)
    assert json.loads(replay["final_state"]) == {"done": True, "note": HOSTILE}


async def test_pictures_come_by_their_hash_and_may_be_kept(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"{STAGE}/images/{SHA256}")
    assert reply.content == PICTURE
    assert reply.headers["content-type"] == "image/png"
    assert "immutable" in reply.headers["cache-control"]


async def test_films_and_traces_can_be_fetched_and_films_wound(client: httpx.AsyncClient, runs: Path) -> None:
    film(runs / "demo/iterations/0001/rollout")
    reported = (await client.get(f"{STAGE}/trajectories/{SUCCESS}")).json()["recorded"]
    assert [(one["kind"], one["file"]) for one in reported] == [
        ("video", "video.webm"),
        ("video", ""),
        ("trace", "trace.zip"),
    ]
    assert "removed" in reported[1]["problem"] and reported[0]["problem"] == ""
    whole = await client.get(f"{STAGE}/trajectories/{SUCCESS}/recorded/video.webm")
    assert whole.headers["content-type"] == "video/webm" and whole.content[:4] == b"\x1a\x45\xdf\xa3"
    part = await client.get(f"{STAGE}/trajectories/{SUCCESS}/recorded/video.webm", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, whole.content[:4])
    trace = await client.get(f"{STAGE}/trajectories/{SUCCESS}/recorded/trace.zip")
    assert trace.headers["content-type"] == "application/zip" and "attachment" in trace.headers["content-disposition"]


@pytest.mark.parametrize(
    "address",
    [
        "/api/runs/none",
        "/api/runs/..",
        "/api/runs/..%2f..%2fetc",
        "/api/runs/%2e%2e/learning_curve.png",
        "/api/runs/demo%00",
        "/api/runs/demo/learning_curve.png",
        "/api/runs/demo/iterations/9/rollout/trajectories",
        "/api/runs/demo/iterations/-1/rollout/trajectories",
        "/api/runs/demo/iterations/%d9%a1/rollout/trajectories",
        "/api/runs/demo/iterations/1/judge/trajectories",
        "/api/runs/demo/iterations/1/..%2frollout/trajectories",
        f"{STAGE}/trajectories/none",
        f"{STAGE}/trajectories/..%2f..%2f0000%2fevaluate%2f{HELDOUT}",
        f"{STAGE}/trajectories/..%5c..%5c",
        f"{STAGE}/trajectories/{SUCCESS}/recorded/video.webm",
        f"{STAGE}/trajectories/{SUCCESS}/recorded/trajectory.json",
        f"{STAGE}/trajectories/{SUCCESS}/recorded/..%2ftrajectory.json",
        f"{STAGE}/trajectories/..%2f..%2f0000%2fevaluate%2f{HELDOUT}/recorded/trace.zip",
        f"{STAGE}/images/{'0' * 64}",
        f"{STAGE}/images/{SHA256.upper()}",
        f"{STAGE}/images/..%2f{SUCCESS}%2ftrajectory.json",
        f"{STAGE}/images/{SHA256}%0a",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static/none.js",
        "/nothing",
    ],
)
async def test_what_is_not_there_is_a_404_with_a_sentence(client: httpx.AsyncClient, address: str) -> None:
    sentence = await problem(client, address)
    assert len(sentence.split()) >= 5


async def test_links_out_of_the_directory_are_not_followed(
    client: httpx.AsyncClient, runs: Path, tmp_path: Path
) -> None:
    write_run(tmp_path / "elsewhere", "secret")
    (runs / "secret").symlink_to(tmp_path / "elsewhere/secret")
    assert [run["name"] for run in (await client.get("/api/runs")).json()] == ["demo"]
    await problem(client, "/api/runs/secret")
    stage = runs / "demo/iterations/0001/rollout"
    (stage / "linked").symlink_to(tmp_path / "elsewhere/secret/iterations/0001/rollout" / SUCCESS)
    await problem(client, f"{STAGE}/trajectories/linked")
    assert (await client.get(f"{STAGE}/trajectories")).json()["total"] == 3


async def test_a_filter_that_does_not_exist_is_refused(client: httpx.AsyncClient) -> None:
    assert "stop" in await problem(client, f"{STAGE}/trajectories?stop=tired", 422)


async def test_damage_is_named_and_hides_nothing_else(client: httpx.AsyncClient, runs: Path) -> None:
    write(runs / "demo/iterations/0001/judge/done.json", "{")
    write(runs / "demo/config.yaml", "a: [")
    run = (await client.get("/api/runs/demo")).json()
    assert [sentence.split(":")[0] for sentence in run["problems"]] == [
        "demo/config.yaml",
        "demo/iterations/0001/judge/done.json",
    ]
    assert run["heldout_last"] == 0.25
    write(runs / f"demo/iterations/0001/rollout/{SUCCESS}/trajectory.json", '{"id": "x"}')
    listed = (await client.get(f"{STAGE}/trajectories")).json()
    assert [row["id"] for row in listed["rows"]] == [FAIL, BROKEN]
    assert listed["problems"][0].startswith("demo/iterations/0001/rollout/")
    assert str(runs) not in await problem(client, f"{STAGE}/trajectories/{SUCCESS}", 500)
    write(runs / f"demo/iterations/0001/rollout/images/{SHA256[:2]}/{SHA256}.png", "other")
    assert "does not match its name" in await problem(client, f"{STAGE}/images/{SHA256}", 500)


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for address in (
        "/",
        "/static/app/index.html",
        "/api/runs",
        "/api/runs/none",
        f"{STAGE}/images/{SHA256}",
        "/nothing",
    ):
        headers = (await client.get(address)).headers
        assert headers["content-security-policy"].startswith("default-src 'self';"), address
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:8100", 200), ("[::1]:8100", 200), ("evil.example", 421), ("", 421)]
)
async def test_only_loopback_names_are_answered(client: httpx.AsyncClient, host: str, status: int) -> None:
    reply = await client.get("/api/runs", headers={"host": host})
    assert reply.status_code == status
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_nothing_can_be_written(client: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await client.request(method, f"{STAGE}/trajectories/{SUCCESS}")).status_code == 405
