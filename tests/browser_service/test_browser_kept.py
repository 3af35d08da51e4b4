"""The artifacts of a lease: pictures by reference, downloads within a quota, videos and traces; and their retention."""

import asyncio
import hashlib
import zipfile
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from eventually import PATIENCE_S
from PIL import Image
from real_service import SMALL, Site, running_service

from browser_service.artifacts.blobs import BlobStore
from browser_service.artifacts.lease_artifacts import ArtifactStore, clean_name
from browser_service.client import Browser, BrowserPool
from browser_service.errors import LeaseMismatch, LeaseNotFound, NotKept, from_problem
from browser_service.leasing.ended import Holder
from browser_service.models import (
    ClickId,
    Download,
    Observe,
    ObserveRequest,
    Problem,
    Recording,
    Screenshot,
    StepReply,
    VisitPage,
)
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)
REFERENCE = ObserveRequest(by_reference=True)


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """A service with small quotas."""
    quota = {"download_file_bytes": 200_000, "download_lease_bytes": 250_000, "download_files": 4}
    with running_service(slots=2, settle_cap_s=1, artifact_retention_s=30, **quota) as settings:
        yield settings


def shot_of(reply: StepReply) -> Screenshot:
    assert reply.observation.screenshot is not None
    return reply.observation.screenshot


def rights(browser: Browser) -> dict[str, str]:
    return {"instance_id": browser.lease.instance_id, "token": browser.lease.token}


async def test_a_picture_by_reference_is_fetched_by_its_hash(pool: BrowserPool, service: Settings, site: Site) -> None:
    async with (
        pool.lease(owner="refs", viewport=SMALL) as browser,
        httpx.AsyncClient(base_url=service.url, timeout=PATIENCE_S) as http,
    ):
        shot = shot_of(await browser.step(VisitPage(url=site.page("ref", "<h1>ref</h1>")), REFERENCE))
        assert shot.data is None
        got = await http.get(f"/blob/{shot.sha256}", params=rights(browser))
        assert got.headers["content-type"] == "image/png" and hashlib.sha256(got.content).hexdigest() == shot.sha256
        headers = {"x-lease-token": browser.lease.token}
        by_header = await http.get(
            f"/blob/{shot.sha256}", params={"instance_id": browser.lease.instance_id}, headers=headers
        )
        assert by_header.content == got.content
        assert (
            kind(await http.get(f"/blob/{shot.sha256}", params={**rights(browser), "token": "guess"})) is LeaseMismatch
        )
        assert kind(await http.get(f"/blob/{'0' * 64}", params=rights(browser))) is NotKept
        async with pool.lease(owner="other", viewport=SMALL) as other:
            assert kind(await http.get(f"/blob/{shot.sha256}", params=rights(other))) is NotKept, "not of this lease"
        mine = rights(browser)
    async with httpx.AsyncClient(base_url=service.url, timeout=PATIENCE_S) as http:
        assert (await http.get(f"/blob/{shot.sha256}", params=mine)).content == got.content, "a while after the end"
        assert kind(await http.get(f"/blob/{shot.sha256}", params={**mine, "instance_id": "nobody:1"})) is LeaseNotFound


def kind(response: httpx.Response) -> type[Exception]:
    assert response.headers["content-type"] == "application/problem+json", response.content[:200]
    return type(from_problem(Problem.model_validate_json(response.content)))


@pytest.mark.parametrize("draw_marks", [False, True])
@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
async def test_pictures_of_every_kind_and_size(
    browser: Browser, site: Site, image_format: str, draw_marks: bool
) -> None:
    await browser.step(VisitPage(url=site.page("sizes", "<button>b</button>" + "<p>some text</p>" * 20)), TITLE)
    wanted = ObserveRequest.model_validate({"image_format": image_format, "draw_marks": draw_marks, "scale": 0.5})
    large = shot_of(await browser.step(Observe(), wanted.model_copy(update={"quality": 90})))
    small = shot_of(await browser.step(Observe(), wanted.model_copy(update={"quality": 10})))
    picture = Image.open(BytesIO(await browser.picture(large)))
    assert picture.size == (large.width, large.height) == (200, 150)
    assert picture.format is not None and picture.format.lower() == image_format
    if image_format != "png":
        assert len(await browser.picture(small)) < len(await browser.picture(large))


async def test_the_accessibility_tree_is_text(browser: Browser, site: Site) -> None:
    page = site.page("tree", "<h1>Shop</h1><nav><a href=/x>Offers</a></nav><button disabled>Buy</button>")
    reply = await browser.step(VisitPage(url=page), ObserveRequest(screenshot=False, ax_tree=True))
    tree = reply.observation.ax_tree or ""
    assert 'heading "Shop"' in tree and 'link "Offers"' in tree and 'button "Buy" [disabled]' in tree
    assert "ax_tree" in reply.timings_ms


async def test_half_a_character_is_no_reason_to_have_no_tree(browser: Browser, site: Site) -> None:
    page = site.page("half-tree", "<p>x</p>", script="document.querySelector('p').textContent = 'Shop \\ud83d'")
    reply = await browser.step(VisitPage(url=page), ObserveRequest(screenshot=False, ax_tree=True))
    assert "Shop \ufffd" in (reply.observation.ax_tree or "")


SAVE = """for (const [name, size] of FILES) { const a = document.createElement('a'); a.download = name; a.textContent = name;
    a.href = URL.createObjectURL(new Blob(['x'.repeat(size)])); document.body.append(a, document.createElement('br')); }"""


async def downloaded(browser: Browser, mark: int) -> Download:
    """Clicks the mark, and looks until the download has ended."""
    reply = await browser.step(ClickId(id=mark), TITLE)
    async with asyncio.timeout(PATIENCE_S):
        while not reply.observation.downloads:
            await asyncio.sleep(0.05)
            reply = await browser.step(Observe(), TITLE)
    return reply.observation.downloads[0]


async def test_downloads_are_kept_within_the_quota(pool: BrowserPool, service: Settings, site: Site) -> None:
    files = [
        ["report.csv", 1_000],
        ["report.csv", 2_000],
        ["big.bin", 300_000],
        ["mid.bin", 249_000 - 3_000],
        ["late", 5],
    ]
    page = site.page("save", "", script=SAVE.replace("FILES", str(files)))
    async with pool.lease(owner="saver", viewport=SMALL, downloads=True) as browser:
        await browser.step(VisitPage(url=page), TITLE)
        found = [await downloaded(browser, number) for number in range(1, 6)]
        assert [(one.name, one.size) for one in found[:2]] == [("report.csv", 1_000), ("report-2.csv", 2_000)]
        assert found[0].sha256 == hashlib.sha256(b"x" * 1_000).hexdigest()
        errors = [one.error or "" for one in found[2:]]
        assert "larger than 200000" in errors[0] and "larger than" in errors[1] and "4 files at most" in errors[2]
        assert await browser.blob(found[0].sha256) == b"x" * 1_000
        mine = rights(browser)
    async with httpx.AsyncClient(base_url=service.url, timeout=PATIENCE_S) as http:
        address = f"/sessions/{mine['instance_id']}/artifacts"
        listed = (await http.get(address, params={"token": mine["token"]})).json()["artifacts"]
        assert [(one["kind"], one["name"], one["size"]) for one in listed] == [
            ("download", "report.csv", 1_000),
            ("download", "report-2.csv", 2_000),
        ]
        got = await http.get(f"{address}/{listed[1]['id']}", params={"token": mine["token"]})
        assert got.content == b"x" * 2_000 and "attachment" in got.headers["content-disposition"]
        for wrong in ("report.csv", "..%2f..%2fetc%2fpasswd", "%00", "uploads", "x" * 300):
            assert (await http.get(f"{address}/{wrong}", params={"token": mine["token"]})).status_code == 404
        assert kind(await http.get(address, params={"token": "guess"})) is LeaseMismatch


async def test_the_next_lease_of_a_reused_context_has_a_quota_of_its_own(pool: BrowserPool, site: Site) -> None:
    files = [["report.csv", 100_000], ["other.csv", 100_000]]
    page = site.page("save-again", "", script=SAVE.replace("FILES", str(files)))
    for _ in range(3):
        async with pool.lease(owner="saver", viewport=SMALL, downloads=True, reuse="savers") as browser:
            await browser.step(VisitPage(url=page), TITLE)
            found = [await downloaded(browser, number) for number in (1, 2)]
            assert [(one.name, one.size, one.error) for one in found] == [(name, size, None) for name, size in files]


LATE = """const a = document.createElement('a'); a.download = 'late.txt'; a.href = URL.createObjectURL(new Blob(['x']));
setInterval(() => { document.cookie = localStorage.late = sessionStorage.late = window.name = 'late=1' }, 5);
setTimeout(() => setInterval(() => { a.click(); alert('late') }, 300), 400)"""


@pytest.mark.parametrize("begins_with", ["a look", "a visit"])
async def test_the_next_lease_of_a_reused_context_hears_nothing_of_the_old_page(
    pool: BrowserPool, site: Site, begins_with: str
) -> None:
    late = site.page("late", "", script=LATE)
    reported = "document.title = [document.cookie, localStorage.late, sessionStorage.late, window.name].join()"
    clean = site.page("not-late", "", script=reported)
    async with pool.lease(owner="one", viewport=SMALL, downloads=True, reuse=begins_with) as one:
        await one.step(VisitPage(url=late), TITLE)
    async with pool.lease(owner="two", viewport=SMALL, downloads=True, reuse=begins_with) as two:
        await asyncio.sleep(1.0)  # time for the old page to be heard
        action = Observe() if begins_with == "a look" else VisitPage(url=clean)
        first = (await two.step(action, TITLE)).observation
        assert (first.dialogs, first.downloads, len(first.tabs)) == ([], [], 1)
        then = (await two.step(VisitPage(url=clean), TITLE)).observation
        assert (then.title, then.dialogs, then.downloads) == (",,,", [], [])


async def test_downloads_are_refused_where_nobody_asked_for_them(pool: BrowserPool, site: Site) -> None:
    page = site.page("save-no", "", script=SAVE.replace("FILES", "[['a.txt', 10]]"))
    async with pool.lease(owner="no downloads", viewport=SMALL) as browser:
        await browser.step(VisitPage(url=page), TITLE)
        refused = await downloaded(browser, 1)
        assert (refused.name, refused.size) == ("a.txt", 0) and "refused" in (refused.error or "")


async def test_a_film_and_a_trace_are_there_once_the_lease_is_over(
    pool: BrowserPool, service: Settings, site: Site
) -> None:
    page = site.page("filmed", "<button onclick='document.body.style.background=\"red\"'>red</button>")
    async with pool.lease(owner="film", viewport=SMALL, record=Recording(video=True, trace=True)) as browser:
        await browser.step(VisitPage(url=page))
        await browser.step(ClickId(id=1))
        mine = rights(browser)
    async with httpx.AsyncClient(base_url=service.url, timeout=PATIENCE_S) as http:
        address, token = f"/sessions/{mine['instance_id']}/artifacts", {"token": mine["token"]}
        listed: dict[str, Any] = {}
        async with asyncio.timeout(PATIENCE_S):
            while len(listed) < 2:
                await asyncio.sleep(0.05)
                listed = {one["kind"]: one for one in (await http.get(address, params=token)).json()["artifacts"]}
        film = await http.get(f"{address}/{listed['video']['id']}", params=token)
        assert film.headers["content-type"] == "video/webm" and film.content[:4] == b"\x1a\x45\xdf\xa3"
        trace = await http.get(f"{address}/{listed['trace']['id']}", params=token)
        assert any(name.endswith(".trace") for name in zipfile.ZipFile(BytesIO(trace.content)).namelist())


@pytest.mark.parametrize(
    ("said", "cleaned"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a b.txt", "a b.txt"),
        ("nul\0byte.txt", "nul_byte.txt"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("<script>.html", "_script_.html"),
        ("taken.txt", "taken-2.txt"),
        ("übung.txt", "übung.txt"),
    ],
)
def test_names_of_downloads_are_cleaned(said: str, cleaned: str) -> None:
    assert clean_name(said, {"taken.txt"}) == cleaned


def test_long_names_are_cut_and_keep_their_ending() -> None:
    name = clean_name("n" * 300 + ".tar", set())
    assert len(name) <= 120 and name.endswith(".tar")


def test_blobs_stay_within_their_budget(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, budget_bytes=100)
    for name in "abc":
        store.put(name, name.encode() * 40, "image/png")
        store.put(name, b"never twice", "image/png")
    assert store.find("a") is None, "the longest unused one went"
    found = store.find("b")
    assert found is not None and found[0].read_bytes() == b"b" * 40
    store.put("d", b"d" * 40, "image/png")
    assert store.find("c") is None and store.find("b") is not None, "b was used since"
    store.put("huge", b"h" * 101, "image/png")
    assert store.find("huge") is None and sorted(path.name for path in tmp_path.iterdir()) == ["b", "d"]


def test_a_shelf_goes_some_time_after_its_lease(tmp_path: Path) -> None:
    now = 0.0
    artifacts = ArtifactStore(tmp_path / "kept", Settings(artifact_retention_s=10), clock=lambda: now)
    kept = artifacts.open(Holder("lease", "secret", needs_token=False))
    file = kept.new_file()
    file.write_text("film")
    kept.add(file, "video", "video-1.webm")
    now = 100.0
    assert artifacts.find("lease", None).artifacts(), "the lease lives"
    artifacts.close("lease")
    now = 109.0
    assert artifacts.find("lease", None).artifacts()
    now = 110.0
    with pytest.raises(LeaseNotFound):
        artifacts.find("lease", None)
    assert not file.exists()
