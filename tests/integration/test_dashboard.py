"""The dashboard with its worker, the stack's browser service and a real Chromium: from an upload to an export."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect
from real_stack import Stack

from browser_service.client import SyncBrowserPool
from dashboard.worker.worker_lock import holder
from environments.miniwob.tasks import task_from_id
from flows.services.services import address_of
from flows.services.specs import BROWSER

pytestmark = [pytest.mark.browser, pytest.mark.stack]
START_S, PLAYED_S, CANCELLED_S = 90.0, 120.0, 10.0
SLOW = "exploring"
"""A task that the random model plays until it is cancelled: no click ends it."""
EXAMPLES = [
    task_from_id(f"click-{family}.100000{seed}").model_dump() for family in ("button", "link") for seed in (1, 2)
]


class Dashboard(NamedTuple):
    """A running dashboard."""

    url: str
    server: "subprocess.Popen[str]"
    data: Path

    def get(self, path: str) -> Any:
        """The JSON of an address."""
        return httpx.get(f"{self.url}{path}", timeout=30).raise_for_status().json()

    def spawn(self, **asked: Any) -> list[str]:
        """Asks for rollouts; returns their ids."""
        reply = httpx.post(f"{self.url}/api/rollouts", json=asked, timeout=30)
        return [row["id"] for row in reply.raise_for_status().json()]

    def wait(self, rollout_id: str, wanted: Callable[[Any], bool], within_s: float = PLAYED_S) -> Any:
        """Waits until a rollout is as wanted."""
        deadline = time.monotonic() + within_s
        while not wanted(row := self.get(f"/api/rollouts/{rollout_id}")):
            assert time.monotonic() < deadline, (row, self.get(f"/api/rollouts/{rollout_id}/log"))
            time.sleep(0.1)
        return row


@pytest.fixture(scope="module")
def browsers(stack: Stack) -> str:
    """The address of the stack's browser service."""
    return address_of(stack.loop.services.state_dir, BROWSER)


@pytest.fixture
def home(tmp_path: Path, endless: str) -> Path:
    """A runs directory without runs, a configuration with a site on loopback, and a file of tasks."""
    site = {"name": "live", "tasks": {"start_url": endless, "private_sites": [endless.removeprefix("http://")]}}
    (tmp_path / "dashboard.yaml").write_text(json.dumps({"environments": {"endless": site}}))
    slow = {
        "id": SLOW,
        "environment": "endless",
        "goal": "Look <b>around</b>",
        "start_url": endless,
        "max_steps": 1_000,
    }
    (tmp_path / "tasks.json").write_text(json.dumps([*EXAMPLES, slow, {"id": "bad row"}]))
    (tmp_path / "runs").mkdir()
    return tmp_path


@pytest.fixture
def endless(tmp_path: Path) -> Generator[str]:
    """A site with buttons that do nothing."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<title>Endless</title>" + "<button>again</button>" * 5)
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", tmp_path / "site"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().split("port ")[1].split()[0]
        yield f"http://127.0.0.1:{port}"
        server.kill()


def start(home: Path, browsers: str) -> Dashboard:
    """Starts `python -m dashboard` with its worker."""
    command = [sys.executable, "-m", "dashboard", "--runs", home / "runs", "--port", "0", "--browsers", browsers]
    server = subprocess.Popen(
        [*command, "--config", home / "dashboard.yaml"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"MAX_WORKERS": "3"},
    )
    assert server.stdout is not None
    with server.stdout as reported:  # the address is all that it ever prints there
        dashboard = Dashboard(reported.readline().strip(), server, home / "runs/.dashboard")
    deadline = time.monotonic() + START_S
    while True:
        try:
            health = httpx.get(f"{dashboard.url}/health", timeout=5).json()
            if health["status"] == "ok":
                return dashboard
        except httpx.TransportError as error:
            health = error
        assert time.monotonic() < deadline and server.poll() is None, health
        time.sleep(0.1)


def stop(dashboard: Dashboard) -> None:
    """Stops the server, which stops its worker."""
    dashboard.server.terminate()
    dashboard.server.wait(30)
    assert holder(dashboard.data) is None, "the worker outlived an orderly stop"


@contextmanager
def running(home: Path, browsers: str) -> Generator[Dashboard]:
    """A dashboard until the block ends."""
    dashboard = start(home, browsers)
    try:
        yield dashboard
    finally:
        stop(dashboard)


@pytest.fixture
def dashboard(home: Path, browsers: str) -> Generator[Dashboard]:
    """A running dashboard."""
    with running(home, browsers) as found:
        yield found


@pytest.fixture
async def page(dashboard: Dashboard) -> AsyncGenerator[Page, None]:
    """A page of the dashboard that fails the test when its console tells an error."""
    executable = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        opened = await browser.new_page(viewport={"width": 1400, "height": 1000}, base_url=dashboard.url)
        opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        await browser.close()
    assert errors == []


def owners(browsers: str) -> set[str]:
    """Who holds the browsers of the service."""
    with SyncBrowserPool(browsers) as pool:
        return {session.owner for session in pool.sessions()}


@pytest.mark.chaos  # half a minute with the starts of server and worker: too long for the default suite
async def test_from_an_upload_to_an_export(dashboard: Dashboard, page: Page, home: Path, browsers: str) -> None:
    await page.goto("/#/tasks")
    await page.get_by_label("File").set_input_files(home / "tasks.json")
    await page.get_by_role("button", name="Upload").click()
    await expect(page.get_by_text("5 tasks stored (5 new, 0 replaced), 1 rows rejected")).to_be_visible()
    await page.get_by_role("link", name="Show them").click()
    for task in EXAMPLES:
        await page.get_by_role("checkbox", name=f"choose {task['id']}").check()
    await page.get_by_label("Model").select_option("scripted")
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_text("success", exact=True).locator("visible=true")).to_have_count(
        4, timeout=PLAYED_S * 1_000
    )

    [slow] = dashboard.spawn(task_id=SLOW, model="random")
    await page.goto(f"/#/rollout/{slow}")
    await expect(page.get_by_role("heading", name="Look <b>around</b>")).to_be_visible()
    live = page.get_by_alt_text("the browser's screen now")
    await expect(live).to_be_visible(timeout=PLAYED_S * 1_000)
    await expect(page.locator(".action").first).to_contain_text("click", timeout=PLAYED_S * 1_000)
    assert await live.evaluate("image => image.naturalWidth") > 0
    assert slow in owners(browsers)
    await page.goto("/#/live")
    await expect(page.locator(".cell img")).to_be_visible()
    began = time.monotonic()
    await page.get_by_role("button", name="Cancel").click()
    dashboard.wait(slow, lambda row: row["status"] == "cancelled", CANCELLED_S)
    while slow in owners(browsers):
        assert time.monotonic() - began < CANCELLED_S, "a cancelled rollout keeps its browser"
    assert dashboard.get(f"/api/rollouts/{slow}/replay")["steps"]

    done = next(row["id"] for row in dashboard.get("/api/rollouts?status=completed"))
    await page.goto(f"/#/rollout/{done}")
    await expect(page.locator(".shot img")).to_be_visible()
    await page.keyboard.press("End")
    await expect(page.get_by_text("raw reward").first).to_be_visible()
    await page.get_by_label("Note").fill("looked at it")
    await page.get_by_role("button", name="No success").click()
    await expect(page.get_by_text("looked at it")).to_be_visible()
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_text("retry of an earlier one")).to_be_visible()
    again = page.url.rpartition("/")[2].partition("?")[0]
    assert dashboard.wait(again, lambda row: row["status"] == "completed")["success"] is True

    await page.goto("/#/rollouts?source=hand")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO((await (await download.value).path()).read_text())))
    assert [row["status"] for row in rows].count("completed") == 5 and len(rows) == 6
    assert {row["success"] for row in rows if row["human"] == "False"} == {"False"}
    assert await page.evaluate("document.querySelectorAll('#page b b').length") == 0


@pytest.mark.chaos
def test_killed_servers_and_workers_lose_no_rollout(home: Path, browsers: str) -> None:
    dashboard = start(home, browsers)
    try:
        httpx.post(f"{dashboard.url}/api/tasks/upload", files={"file": (home / "tasks.json").read_bytes()}, timeout=30)
        slow = dashboard.spawn(task_id=SLOW, model="random", attempts=2)
        for _ in range(3):
            for one in slow:
                dashboard.wait(one, lambda row: row["status"] == "running" and row["steps"] > 0)
            steps = dashboard.get(f"/api/rollouts/{slow[0]}")["steps"]
            dashboard.server.send_signal(signal.SIGKILL)
            dashboard.server.wait(10)
            worker = holder(dashboard.data)
            assert worker, "the worker died with its server"
            dashboard = start(home, browsers)
            assert holder(dashboard.data) == worker
            dashboard.wait(slow[0], lambda row, before=steps: row["steps"] > before and row["tries"] == 1)
        worker = holder(dashboard.data)
        assert worker
        os.kill(worker, signal.SIGKILL)
        for one in slow:
            assert dashboard.wait(
                one, lambda row: row["status"] == "running" and row["steps"] > 0 and row["tries"] == 2
            )
        for one in slow:
            httpx.delete(f"{dashboard.url}/api/rollouts/{one}", timeout=30)
        for one in slow:
            dashboard.wait(one, lambda row: row["status"] == "cancelled", CANCELLED_S)
        deadline = time.monotonic() + 30
        while owners(browsers) & set(slow):
            assert time.monotonic() < deadline, "a killed worker's browser was never freed"
            time.sleep(0.5)
    finally:
        stop(dashboard)
