"""`AsyncWebGym` plays sampled tasks in real browsers over OmniBoxes' wire format, and survives what such a master does."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from agent.types import Answer, Pictures, Step, Task, Trajectory, Turn
from agent.verdict import Verdict
from browser_service.client import BrowserPool
from browser_service.client.omniboxes import OmniBoxesPool
from browser_service.errors import BadRequest, BrowserCrashed, NoCapacity
from browser_service.models import ClickId, Drag, LoginState, Observation, Observe, ObserveRequest, VisitPage
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.web import serving
from rollouts.async_webgym import AsyncWebGym, MasterLost


async def page(request: Request) -> Response:
    name = request.path_params["name"]
    return HTMLResponse(f"<title>{name}</title><a href='/the-{name}'>open {name}</a><p>secret {name}</p>")


SITE = FastAPI(routes=[Route("/{name}", page)])


class Opening:
    """Clicks the only link, then answers with the title of the page."""

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        shot = observation.screenshot
        assert shot is not None and Image.open(BytesIO(pictures[shot.sha256])).size == (1280, 768)
        if task.id == "9":
            await asyncio.sleep(60)
        if history:
            return Turn(completion=None, action=Answer(text=observation.title))
        (link,) = observation.marks
        return Turn(completion=None, action=ClickId(id=link.id))


class Exact:
    """Rewards the answer that the task expects."""

    name = "exact"

    async def judge(self, trajectory: Trajectory) -> Verdict:
        right = trajectory.answer == trajectory.task.reference_answer
        return Verdict(trajectory_id=trajectory.id, reward=float(right), judge=self.name, evidence="compared")


@asynccontextmanager
async def stack(**settings: Any) -> AsyncGenerator[tuple[str, str]]:
    """Addresses of a browser service with two browsers, and of the site."""
    fitting = Settings(slots=2, warm=1, egress_sites=["127.0.0.1:*"], **settings)
    async with running_service(fitting) as service, serving(create_app(fitting, service)) as url, serving(SITE) as site:
        yield url, site


def rows(site: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "task_id": number,
            "task_name": f"Open page {number}.",
            "domain": "Travel",
            "subdomain": "Flights",
            "website": f"{site}/p{number}",
            "difficulty": 1 + number,
            "evaluator_reference": [{"description": "it is open", "difficulty": 1}],
            "definite_answer": f"the-p{number}" if number else "another",
        }
        for number in range(count)
    ]


def gym(url: str, tasks: list[dict[str, Any]], folder: Path, **more: Any) -> AsyncWebGym:
    steps = {"train_difficulty_max_steps": {"easy": 4, "medium": 5, "hard": 6}}
    host, port = url.removeprefix("http://").split(":")
    usual: dict[str, Any] = {"completion_threshold": 1.0, "interaction_mode": "set_of_marks", "judge": Exact()}
    usual |= {"retry_policy": {"operation_timeout": 20, "http_pools": {"navigate": 1}}, "env_config": steps}
    return AsyncWebGym(int(port), host, None, tasks, folder, 2, **usual | more)


@pytest.mark.browser
async def test_sampled_tasks_are_played_and_come_back_in_webgyms_fields(tmp_path: Path) -> None:
    heard, kept = list[tuple[int, int]](), list[int]()
    async with stack() as (url, site), BrowserPool(url) as operator:
        tasks = rows(site, 3)
        env = gym(url, [*tasks, tasks[1]], tmp_path, multinode_rank_suffix="_rank_3")
        found = await env.run(
            Opening(),
            progress_callback=lambda done, total: heard.append((done, total)),
            checkpoint_callback=lambda done, total, _: kept.append(done),
            checkpoint_interval=0.5,
            traj_metadata={"iteration": 7},
        )
        assert await operator.sessions() == []
    assert heard == [(done, 4) for done in range(1, 5)] and kept == [2]
    assert [trajectory[-1]["reward"]["reward"] for trajectory in found if trajectory] == [0, 1, 1, 1]
    first = found[2]
    assert first is not None and [step["action"]["action"]["key"] for step in first] == ["click", "answer"]
    seen = first[0]["observation"]
    assert seen["task"]["max_steps"] == 4 and seen["task"]["website"] == tasks[2]["website"]
    assert seen["page_metadata"] == {"title": "p2", "url": tasks[2]["website"]} and "open p2" in seen["ac_tree"]
    with Image.open(seen["image_path"]) as picture:
        assert picture.size == (1280, 768)
    path = tmp_path / "train_trajectories" / "train_trajectories.iteration7_rank_3.jsonl"
    stored = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["trajectory"] for row in stored] == found and stored[0]["metadata"] == {"iteration": 7}


@pytest.mark.chaos
@pytest.mark.browser
async def test_stragglers_are_failures_and_a_second_call_plays_what_is_missing(tmp_path: Path) -> None:
    async with stack() as (url, site):
        tasks = rows(site, 2)
        slow = {**rows(site, 10)[9]}
        env = gym(url, [tasks[1], slow], tmp_path, completion_threshold=0.5, completion_grace_period=0.2)
        async with httpx.AsyncClient(base_url=url, timeout=60) as raw:  # a killed process of this rank left a lease
            left = (await raw.post("/get")).json()
        (tmp_path / "episodes").mkdir()
        (tmp_path / "episodes" / "leases.json").write_text(json.dumps([left]))
        done, late = await env.run(Opening())
        assert done is not None and done[-1]["reward"]["reward"] == 1
        async with BrowserPool(url) as operator:
            assert await operator.sessions() == []
        assert late is not None and late[-1]["error_type"] == "STRAGGLER" and late[-1]["reward"]["reward"] is None
    # Without a master: everything is stored already, so nothing is played.
    assert await gym(url, [tasks[1], slow], tmp_path).run(Opening()) == [done, late]
    with pytest.raises(MasterLost, match="no answer from the browser service"):
        await gym(url, tasks, tmp_path / "other", retry_policy={"max_retries": 0}).run(Opening())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sampled_tasks": []}, "expected at least one task"),
        ({"sampled_tasks": "all"}, "expected a table, or a list of rows, found str"),
        ({"sampled_tasks": [{"task_id": 1, "task_name": "Go.", "website": "ftp://a"}]}, "sampled task 0: website"),
        ({"split": "dev"}, "split: expected train or test"),
        ({"retry_policy": {"max_retries": -1}}, "max_retries"),
        ({"env_config": {"train_difficulty_max_steps": [1, 2]}}, "expected steps for easy, medium and hard"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_once(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {"master_port": 1, "host_ip": "a", "cpu_cluster_token": None, "num_workers": 1}
    usual |= {"sampled_tasks": rows("http://a", 1), "save_path": tmp_path}
    with pytest.raises(ValueError, match=words):
        AsyncWebGym(**usual | given)


async def test_an_agent_of_webgym_gets_a_sentence_about_what_to_pass(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="WebGym's WebAgent is AgentConfig"):
        await gym("http://127.0.0.1:1", rows("http://a", 1), tmp_path).run(object())  # ty: ignore[invalid-argument-type]


class Master:
    """An OmniBoxes master as the original behaves: 503 without a queue, 200 with words where its browser is gone."""

    def __init__(self) -> None:
        self.refusals, self.is_broken, self.resets = 2, False, 0
        self.commands: list[str] = []
        self.app = FastAPI(
            routes=[
                Route("/get", self.get, methods=["POST"]),
                Route("/reset", self.reset, methods=["POST"]),
                Route("/metadata", self.metadata),
                Route("/screenshot", self.screenshot),
                Route("/execute", self.execute, methods=["POST"]),
            ]
        )

    async def get(self, request: Request) -> Response:
        assert request.query_params["lifetime_mins"] == "45" and request.headers["x-api-key"] == "default_key"
        if self.refusals:
            self.refusals -= 1
            return JSONResponse({"detail": "No available nodes with capacity to create new instance"}, 503)
        return JSONResponse({"instance_id": "u:9000", "node": "http://n:8080"})

    async def reset(self, request: Request) -> Response:
        self.resets += 1
        return JSONResponse({"detail": "Instance not in use or already released"}, 400)

    async def metadata(self, request: Request) -> Response:
        return Response(b'{"width": 1280, "height": 768}', media_type="image/png")

    async def screenshot(self, request: Request) -> Response:
        if self.is_broken:
            return Response(b"Internal Server Error", media_type="image/png")
        png = BytesIO()
        Image.new("RGBA", (1280, 768), "white").save(png, "PNG")
        return Response(png.getvalue(), media_type="image/png")

    async def execute(self, request: Request) -> Response:
        body = await request.json()
        (name,) = body.keys() - {"instance_id", "node"}
        self.commands.append(name)
        region = {
            "tag_name": "a",
            "role": "link",
            "aria_name": "x",
            "rects": [{"x": 1, "y": 2, "width": 3, "height": 4}],
        }
        nan = {**region, "rects": [{"x": "NaN", "y": 2, "width": 3, "height": 4}]}
        match name:
            case "get_screenshot_info":
                regions = {"14": region, "15": nan}
                return JSONResponse(
                    {"visible_rects": ["1", "2"], "id_mapping": {"1": "14", "2": "15"}, "interactive_regions": regions}
                )
            case "get_page_metadata":
                return JSONResponse({"title": "t" * 5_000, "url": "http://a/"})
            case "click_id":
                return JSONResponse(
                    {"status": "error", "message": "Element with identifier 7 not found or not visible"}, 500
                )
        return JSONResponse({"status": "success"})


async def test_a_master_of_the_original_is_understood() -> None:
    master = Master()
    async with serving(master.app) as url, OmniBoxesPool(url, "default_key") as pool:
        with pytest.raises(NoCapacity, match="had no free browser for 0 s"):
            async with pool.lease(owner="me", wait_s=0):
                pass
        async with pool.lease(owner="me", wait_s=5, blocked_hosts=["b.example"]) as browser:
            reply = await browser.step(Observe(), ObserveRequest(image_format="webp", scale=0.5))
            seen = reply.observation
            assert [(mark.id, mark.name, mark.box.width) for mark in seen.marks] == [(1, "x", 3.0)] and seen.partial
            assert len(seen.title) == 1_000 and seen.screenshot is not None
            assert (seen.screenshot.media_type, seen.screenshot.width) == ("image/webp", 640)
            failed = (await browser.step(ClickId(id=7))).error
            assert failed is not None and failed.fault == "policy" and "identifier 7 not found" in failed.message
            unknown = (await browser.step(Drag(x=1, y=1, to_x=2, to_y=2))).error
            assert unknown is not None and unknown.code == "UNSUPPORTED" and "drag" not in master.commands
            away = (await browser.step(VisitPage(url="http://www.b.example/"))).error
            assert away is not None and away.code == "NAV_BLOCKED" and "visit_page" not in master.commands
            master.is_broken = True
            with pytest.raises(BrowserCrashed, match="expected a picture of the page, found b'Internal Server Error'"):
                await browser.step(Observe())
        assert master.resets == 1 and master.commands.count("click_id") == 1


async def test_a_lease_that_needs_more_than_omniboxes_has_is_refused() -> None:
    async with OmniBoxesPool("http://127.0.0.1:1") as pool:
        for more in ({"only_sites": True}, {"login": LoginState()}):
            with pytest.raises(BadRequest, match="an OmniBoxes master can't grant"):
                async with pool.lease(owner="me", **more):  # ty: ignore[invalid-argument-type]
                    pass
