"""The pages in a real Chromium: what strangers wrote stays text, and the keys work."""

import re
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from served_pages import opened_page, served
from stored_run import ALARM, FAIL, HOSTILE, PICTURE, SUCCESS, film, write_done, write_run, write_update

from dashboard.app import create_app

pytestmark = pytest.mark.browser
LIST = "#/run/demo/1/rollout"


@pytest.fixture
def address(runs: Path) -> Generator[str, None, None]:
    """The application on a free port."""
    (runs / "demo/learning_curve.png").write_bytes(PICTURE)
    with served(create_app(runs)) as address:
        yield address


@pytest.fixture
async def page(address: str) -> AsyncGenerator[Page, None]:
    """A page of the dashboard that fails the test when its console tells an error."""
    async with opened_page(address) as page:
        yield page


async def test_markup_of_strangers_is_shown_and_never_run(page: Page) -> None:
    await page.goto(f"/{LIST}")
    await expect(page.get_by_text(HOSTILE).first).to_be_visible()
    await page.goto(f"/{LIST}/{FAIL}")
    for key in ("ArrowRight", "ArrowRight"):
        await expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
        await page.keyboard.press(key)
    await expect(page.get_by_text("Verdict")).to_be_visible()
    assert await page.evaluate("window.pwned") is None
    written = "'script:not([src]), [onerror], a[href^=javascript], img[src=x]'"
    assert await page.evaluate(f"document.querySelectorAll({written}).length") == 0


async def test_a_reader_goes_from_the_runs_to_the_end_of_a_replay_by_keys(page: Page) -> None:
    await page.goto("/")
    await expect(page.get_by_role("link", name="demo")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("iteration 2, rollout 7/16").first).to_be_visible()
    await page.goto(f"/{LIST}?outcome=success")
    # Only the address changes at once: the page that was there takes keys until the list is fetched.
    await expect(page.locator("#crumbs strong")).to_have_text("iteration 1, rollout")
    await expect(page.locator("tbody a.row")).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(page.locator("#crumbs strong")).to_have_text(SUCCESS)
    await expect(page.locator(".feedback")).to_have_text("no action in Click the button.")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator(".action")).to_contain_text("click_id")
    await expect(page.locator(".mark.chosen")).to_be_visible()
    assert await page.locator(".shot img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 160
    await page.keyboard.press("End")
    await expect(page.get_by_text("reward is 1")).to_be_visible()
    assert page.url.endswith(f"{LIST}/{SUCCESS}?outcome=success&step=2")
    await page.keyboard.press("Escape")
    await expect(page.locator("tbody a.row")).to_have_count(1)


async def test_a_run_shows_the_diagnostics_of_its_policy_updates(page: Page, runs: Path) -> None:
    skipped = {"reward_mean": 1.0, "reward_std": 0.0, f"dropped_{HOSTILE}": 3.0}
    write_update(runs / "demo/iterations/0002", skipped, rewards=(4, 0, 0), alarms=(HOSTILE,), name=HOSTILE)
    await page.goto("/#/run/demo")
    section = page.get_by_role("region", name="Policy update")
    alarms = section.get_by_role("list", name="alarms").get_by_role("listitem")
    await expect(alarms).to_have_text([f"iteration 2: {HOSTILE}", f"iteration 1: {ALARM}"])
    drawn = section.locator("figure:has(svg)")
    await expect(drawn).to_have_count(13)
    await expect(drawn.filter(has_text="MFU")).to_have_count(0)
    await expect(drawn.filter(has_text="Steps that were trained on")).to_contain_text(HOSTILE)
    for title, points in {"Rewards": 2, "Loss": 1}.items():  # a missing number is not drawn
        dots = await section.get_by_role("figure", name=f"{title} by iteration").locator(".dots").get_attribute("d")
        assert dots is not None and dots.count("M") == points
    await drawn.filter(has_text="Steps that were trained on").locator("svg").hover(position={"x": 180, "y": 20})
    await expect(section.locator(".reading")).to_contain_text(f"{HOSTILE} 3")
    rewards = section.get_by_role("figure", name="Rewards in iteration")
    await expect(rewards).to_contain_text("largest bin: 4 of 4")
    await section.get_by_role("combobox", name="iteration of the histograms").select_option("iteration 1")
    await expect(rewards).to_contain_text("largest bin: 1 of 2")
    await expect(section.get_by_role("figure", name="Lag in iteration")).to_have_count(0)
    await section.get_by_text("these histograms of iteration 1 as a table").click()
    await expect(section.get_by_role("row", name="Trainer/server gap 1e-5 to 1e-4 40 tokens")).to_be_visible()
    await section.get_by_text("all numbers of 2 policy updates").click()
    await expect(section.get_by_role("columnheader", name=HOSTILE)).to_be_visible()
    assert await page.evaluate("window.pwned") is None
    assert await page.evaluate("document.querySelectorAll('script:not([src]), [onerror], img[src=x]').length") == 0


@pytest.mark.parametrize("report", [{"metrics": {"update_s": 3.0}, "counts": {"version": 1}}, None])
async def test_a_run_without_reports_of_updates_has_no_section_for_them(
    page: Page, runs: Path, report: dict[str, object] | None
) -> None:
    update = write_run(runs, "early") / "iterations/0001/policy_update"
    (update / "done.json").unlink()
    if report:
        write_done(update, seconds=9.0, **report)
    await page.goto("/#/run/early")
    await expect(page.get_by_role("figure", name="Success by iteration")).to_be_visible()
    await expect(page.get_by_role("heading", name="Policy update")).to_have_count(0)


async def test_the_file_to_send_around_needs_nothing_and_runs_nothing(page: Page, tmp_path: Path) -> None:
    await page.goto(f"/{LIST}/{FAIL}")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Save as one HTML file").click()
    file = tmp_path / "file.html"
    await (await download.value).save_as(file)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(file.as_uri())
    await expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    assert await page.evaluate("window.pwned") is None
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    size = (
        "picture => new Promise((done) => { const image = new Image(); image.onload = () => done(image.naturalWidth); "
    )
    size += "image.src = picture.href.baseVal; })"
    assert await page.locator("svg image").first.evaluate(size) == 160
    shown = await page.locator("svg:has(use)").first.screenshot()
    assert len(set(shown)) > 100  # the picture again, not an empty box
    for theme in ("dark", "light"):
        await page.emulate_media(color_scheme=theme)
        found = await Axe().run(page)
        assert [one["id"] for one in found.response["violations"]] == []


async def test_a_film_and_the_steps_follow_one_another_and_its_keys_are_its_own(page: Page, runs: Path) -> None:
    film(runs / "demo/iterations/0001/rollout")
    await page.goto(f"/{LIST}/{SUCCESS}")
    video = page.locator("video")
    await expect(video).to_have_count(1)
    time = "film => new Promise((done) => setTimeout(() => done(film.currentTime), 200))"
    await page.get_by_role("button", name="2", exact=True).click()
    assert await video.evaluate(time) == pytest.approx(0.4, abs=0.05)  # the first step took as long
    await page.keyboard.press("ArrowLeft")
    assert await video.evaluate(time) == 0
    await expect(page.locator(".feedback")).to_be_visible()  # of the first step
    play = "film => film.play().then(() => new Promise((done) => film.onended = () => done(film.videoWidth)))"
    assert await video.evaluate(play) == 160
    await expect(page).to_have_url(re.compile(r"step=[12]$"))
    await expect(page.get_by_text("none: it was removed")).to_be_visible()
    await expect(page.get_by_role("link", name="trace.zip")).to_have_attribute("download", f"{SUCCESS}.trace.zip")
    reached = page.url
    await video.focus()
    await page.keyboard.press("ArrowLeft")
    assert page.url == reached
