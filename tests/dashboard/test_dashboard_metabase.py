"""Rollouts by hand on pairs of containers, in a real Chromium: upload, four rollouts, cancel, retry, a killed container, export."""

import asyncio
import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import docker
import pytest
from dashboard_on_pairs import PLAYED_S, Reader, browsers, dashboard, rollout
from docker_engine import left, needs_engine
from docker_images import engine_with_images
from playwright.async_api import expect
from reports_dump import BASIC, PRO, SLOW
from served_pages import opened_page

from environments.providers.docker.listing import containers
from environments.web import serving

pytestmark = [needs_engine, pytest.mark.chaos, pytest.mark.browser]
CANCELLED_S = 15.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of an engine with the images of a Postgres and of an application."""
    with engine_with_images(tmp_path_factory.mktemp("docker")) as address:
        yield address


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
