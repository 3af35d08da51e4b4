"""Rollouts by hand on pairs of containers, in a real Chromium: upload, four rollouts, cancel, retry, a killed container, export."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from docker_engine import left, needs_engine
from docker_images import APPLICATION_IMAGE, POSTGRES_IMAGE, engine_with_images
from fastapi import FastAPI
from playwright.async_api import expect
from reports_dump import BASIC, EMAIL, PASSWORD, PRO, REPORTS, SLOW
from served_pages import opened_page

from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.providers.docker.listing import containers
from environments.web import serving

pytestmark = [needs_engine, pytest.mark.chaos, pytest.mark.browser]
PLAYED_S, CANCELLED_S = 120.0, 15.0


class Reader:
    """A chat model that opens the report of the goal's plan and answers; for another goal it waits until it may answer."""

    def __init__(self) -> None:
        self.may_answer = False

    def reply(self, messages: Any) -> str:
        """The next action."""
        text, last = json.dumps(messages), json.dumps(messages[-1])
        if PRO["task"] in text:
            return "answer('{\"sold\": 100}')"
        if BASIC["task"] in text:
            return "answer('{\"sold\": 200}')" if "All reports" in last else "click(1)"
        return "answer('{\"sold\": 1}')" if self.may_answer else "wait(1)"

    def app(self) -> FastAPI:
        """The model behind the chat API."""
        app = FastAPI()

        @app.post("/v1/chat/completions")
        def complete(asked: dict[str, Any]) -> dict[str, Any]:
            message = {"content": self.reply(asked["messages"])}
            return {"choices": [{"message": message, "finish_reason": "stop"}]}

        return app


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of an engine with the images of a Postgres and of an application."""
    with engine_with_images(tmp_path_factory.mktemp("docker")) as address:
        yield address


@asynccontextmanager
async def browsers() -> AsyncGenerator[str]:
    """The address of a browser service."""
    settings = Settings(slots=4, egress_sites=("127.0.0.1:*",))
    async with running_service(settings) as service, serving(create_app(settings, service)) as url:
        yield url


@asynccontextmanager
async def dashboard(home: Path, engine: str, browsers: str, model: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of `python -m dashboard` with its worker, whose configuration names no dump."""
    section = {
        "image": APPLICATION_IMAGE,
        "postgres_image": POSTGRES_IMAGE,
        "memory_mb": 128,
        "postgres_memory_mb": 128,
    }
    login = {"login": {"username": EMAIL, "password_env": "REPORTS_PASSWORD"}}
    config = {
        "environments": {"metabase": {"name": "metabase", "metabase": section | login}},
        "models": {"reader": {"kind": "openai_chat", "model": "reader", "base_url": model}},
        "default_environment": "metabase",
        "default_model": "reader",
    }
    (home / "dashboard.yaml").write_text(json.dumps(config))
    (home / "reports.sql").write_text(REPORTS)
    (home / "runs").mkdir()
    command = [sys.executable, "-m", "dashboard", "--runs", home / "runs", "--port", "0", "--browsers", browsers]
    server = await asyncio.create_subprocess_exec(
        *map(str, command),
        *("--config", str(home / "dashboard.yaml")),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ
        | {"DOCKER_HOST": engine, "SQL_DUMP_PATH": str(home / "reports.sql"), "REPORTS_PASSWORD": PASSWORD},
    )
    assert server.stdout is not None
    try:
        address = (await server.stdout.readline()).decode().strip()
        assert address, "the dashboard did not start"
        async with httpx.AsyncClient(base_url=address, timeout=30, trust_env=False) as client:
            yield client
    finally:
        if server.returncode is None:
            server.terminate()
        await server.communicate()


async def rollout(
    client: httpx.AsyncClient, rollout_id: str, wanted: Callable[[Any], bool], within_s: float = PLAYED_S
) -> Any:
    """The rollout, once it is as wanted."""
    deadline = time.monotonic() + within_s
    while not wanted(row := (await client.get(f"/api/rollouts/{rollout_id}")).raise_for_status().json()):
        assert time.monotonic() < deadline, (row, (await client.get(f"/api/rollouts/{rollout_id}/log")).text)
        await asyncio.sleep(0.2)
    return row


def is_playing(row: Any) -> bool:
    """True once the first step is over."""
    return row["status"] == "running" and row["steps"] > 0


async def test_from_tasks_json_to_an_exported_trajectory(engine: str, tmp_path: Path) -> None:
    reader = Reader()
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([BASIC, PRO, SLOW]))
    async with (
        browsers() as pool,
        serving(reader.app()) as model,
        dashboard(tmp_path, engine, pool, model) as client,
        opened_page(str(client.base_url)) as page,
    ):

        async def spawn(**asked: Any) -> list[str]:
            return [row["id"] for row in (await client.post("/api/rollouts", json=asked)).raise_for_status().json()]

        async def retry(rollout_id: str) -> str:
            return (await client.post(f"/api/rollouts/{rollout_id}/retry")).raise_for_status().json()["id"]

        await page.goto("/#/tasks")
        await page.locator("#upload-file").set_input_files(file)
        await page.get_by_role("button", name="Upload").click()
        await expect(page.get_by_text("3 tasks stored (3 new, 0 replaced)")).to_be_visible()
        slow, *others = [
            *await spawn(task_id="slow"),
            *await spawn(task_id="basic", attempts=2),
            *await spawn(task_id="pro"),
        ]
        await rollout(client, slow, is_playing)
        await page.goto("/#/browsers")
        for role in ("pg", "mb"):
            await expect(page.get_by_text(f"rollout-{role}-{slow}")).to_be_visible(timeout=PLAYED_S * 1_000)
        for one in others:
            row = await rollout(
                client, one, lambda row: row["status"] not in ("pending", "provisioning", "running", "judging")
            )
            assert (row["status"], row["success"]) == ("completed", True), row

        await page.goto(f"/#/rollout/{slow}")
        await page.get_by_role("button", name="Cancel").click()
        await rollout(client, slow, lambda row: row["status"] == "cancelled", CANCELLED_S)
        deadline = time.monotonic() + CANCELLED_S
        while slow in {line.episode for line in containers(engine)}:
            assert time.monotonic() < deadline, containers(engine)
            await asyncio.sleep(0.2)
        again = await retry(others[2])
        assert (await rollout(client, again, lambda row: row["status"] == "completed"))["success"] is True

        broken = await retry(slow)
        await rollout(client, broken, is_playing)
        killer = docker.DockerClient(base_url=engine)
        killer.containers.get(f"rollout-pg-{broken}").kill()
        killer.close()
        reader.may_answer = True
        row = await rollout(client, broken, lambda row: row["status"] in ("failed", "completed"))
        assert (row["status"], row["success"]) == ("failed", None) and "the container pg has died" in json.dumps(row), (
            row
        )

        await page.goto(f"/#/rollout/{others[0]}")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Save as one HTML file").click()
        exported = (await (await download.value).path()).read_text()
        assert BASIC["task"] in exported and "127.0.0.1:300" in exported and "<script" not in exported
    assert left(engine) == []
