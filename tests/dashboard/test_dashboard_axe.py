"""WCAG 2.2 AA by axe-core, in a real Chromium, on every page, dark and light, wide and narrow."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from acting import BUTTON, play, spawn, upload_miniwob
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from served_pages import opened_page, served
from stored_run import SUCCESS, film
from test_dashboard_details import give_console, give_requests, give_tokenizer

from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.index.scanning import Scanner

pytestmark = pytest.mark.browser
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
STAGE = "#/run/demo/1/rollout"
PAGES = [
    "#/",
    "#/run/demo",
    STAGE,
    f"{STAGE}/{SUCCESS}",
    f"{STAGE}/{SUCCESS}?step=2",
    "#/tasks",
    f"#/task/{BUTTON}",
    "#/rollouts",
    "#/rollouts?status=completed",
    "#/rollouts?q=nothing-has-this",
    "#/rollout/{rollout}",
    "#/rollout/{waiting}",
    "#/compare/rollouts?id={rollout}&id={other}",
    "#/live",
    "#/compare",
    "#/judges",
    "#/analysis",
    "#/browsers",
    "#/system",
    "#/users",
    "#/audit",
    "#/account",
    "#/login",
    "docs",
]
Theme = Literal["dark", "light"]


@pytest.fixture
async def ids(acting: httpx.AsyncClient, service: Service) -> dict[str, str]:
    """Two rollouts that were played, one that waits, a saved view, a run with a film and requests."""
    stage = service.settings.runs / "demo/iterations/0001/rollout"
    film(stage)
    give_requests(stage, SUCCESS)
    give_console(stage, SUCCESS)
    give_tokenizer(service.settings.runs / "demo")
    Scanner(service.runs, service.database).scan()
    await upload_miniwob(acting)
    await spawn(acting, attempts=2)
    rollout, other = play(service)
    await acting.post(f"/api/rollouts/{rollout}/verdict", json={"success": False, "note": "it was not there"})
    await acting.post("/api/views", json={"name": "completed", "query": "status=completed"})
    [waiting] = await spawn(acting)
    return {"rollout": rollout, "other": other, "waiting": waiting["id"]}


@pytest.fixture
def address(service: Service) -> Generator[str, None, None]:
    with served(create_app(service.settings.runs, service)) as address:
        yield address


@pytest.fixture
async def page(address: str) -> AsyncGenerator[Page, None]:
    async with opened_page(address) as page:
        yield page


async def problems(page: Page) -> list[str]:
    """The rules that a page breaks, with the first element of each."""
    found = await Axe().run(page, options=RULES)
    return [f"{one['id']}: {one['nodes'][0]['html'][:300]}" for one in found.response["violations"]]


async def opened(page: Page, path: str, theme: Theme, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 900})
    await page.emulate_media(color_scheme=theme)
    await page.goto("about:blank")
    await page.goto(f"/{path}")
    await expect(page.locator("h1").first).to_be_visible()
    await expect(page.get_by_text("Loading …")).to_have_count(0)
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


async def test_the_page_with_the_most_parts_is_accessible(page: Page, ids: dict[str, str]) -> None:
    await opened(page, f"{STAGE}/{SUCCESS}?step=1", "dark", 1440)
    await expect(page.get_by_text("least likely")).to_be_visible()
    assert await problems(page) == []


@pytest.mark.chaos
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_every_page_is_accessible(
    page: Page, ids: dict[str, str], theme: Theme, width: int, tmp_path: Path
) -> None:
    """Also that no page is wider than a phone. About a minute each."""
    found: list[str] = []
    for path in PAGES:
        await opened(page, path.format(**ids), theme, width)
        found += [f"{path}: {problem}" for problem in await problems(page)]
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        found += [f"{path}: {overflow} px wider than the window"] if overflow > 0 else []
    assert found == [], "\n".join(found)
