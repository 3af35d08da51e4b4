"""Actions of people in the pages, in a real Chromium over the whole application: upload, start, cancel, retry, judge, compare, delete."""

import json
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from acting import BUTTON, LINK, play
from playwright.async_api import Page, expect
from served_pages import opened_page, served
from stored_run import HOSTILE

from dashboard.api.service import Service
from dashboard.app import create_app
from environments.miniwob.tasks import task_from_id

pytestmark = pytest.mark.browser


@pytest.fixture
def address(service: Service, application: tuple[Service, object]) -> Generator[str, None, None]:
    """The whole application on a free port."""
    with served(create_app(service.settings.runs, service)) as address:
        yield address


@pytest.fixture
async def page(address: str) -> AsyncGenerator[Page, None]:
    async with opened_page(address) as page:
        yield page


async def test_people_upload_start_cancel_retry_judge_compare_and_delete(
    page: Page, service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([*(task_from_id(name).model_dump() for name in (BUTTON, LINK)), {"task": HOSTILE}]))
    await page.goto("/#/tasks")
    await page.locator("#upload-file").set_input_files(file)
    await page.get_by_role("button", name="Upload").click()
    await expect(page.get_by_text("2 tasks stored")).to_be_visible()
    await expect(page.get_by_text("id: missing")).to_be_visible()
    await expect(page.locator("tbody a.row")).to_have_count(2)

    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_text("Choose at least one task.")).to_be_visible()
    await page.get_by_label(f"choose {BUTTON}").check()
    await page.get_by_label("Attempts").fill("3")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("h1")).to_contain_text("3 rollouts")
    await page.locator("tbody a.row").first.click()
    await expect(page.locator(".path .now")).to_have_text("pending")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator(".path .now")).to_have_text("cancelled")
    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator(".path .now")).to_have_text("pending")
    assert len(play(service, reward=0.0)) == 3
    await expect(page.locator(".path .now")).to_have_text("completed")

    await page.get_by_label("Note").fill(HOSTILE)
    await page.get_by_role("button", name="Success", exact=True).click()
    await expect(page.locator("aside td", has_text=HOSTILE)).to_be_visible()
    await page.goto("/#/judges")
    await expect(page.locator("tbody a.row")).to_have_count(1)
    await page.get_by_role("button", name="No success").click()
    await expect(page.get_by_text("No person has disagreed with a judge.")).to_be_visible()

    await page.goto("/#/rollouts?status=completed")
    await expect(page.locator("tbody a.row")).to_have_count(3)
    await page.get_by_label("source").select_option("hand")
    await expect(page).to_have_url(page.url.split("#")[0] + "#/rollouts?status=completed&source=hand")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    exported = await (await download.value).path()
    assert len(exported.read_text().splitlines()) == 4
    for box in (0, 1):
        await page.locator("input[name=compare]").nth(box).check()
    await page.get_by_role("button", name="Compare the chosen ones").click()
    await expect(page.locator("h1")).to_contain_text("the same at every step")
    assert await page.evaluate("window.pwned") is None

    await page.keyboard.press("Control+k")
    await page.get_by_placeholder("Go to a page").fill("click-button")
    await page.get_by_text("search rollouts for").click()
    await expect(page.locator("h1")).to_contain_text("4 rollouts")
    await page.locator("tbody a.row").first.click()
    await page.get_by_role("button", name="Delete").click()
    await expect(page.locator("h1")).to_contain_text("3 rollouts")
    await page.goto("/#/audit")
    await expect(page.get_by_role("cell", name="delete", exact=True)).to_be_visible()
