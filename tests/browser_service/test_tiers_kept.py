"""The artifacts of a lease, fetched through the master: the client's own calls, before and after the lease's end."""

import hashlib
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import httpx
import pytest
from real_service import SMALL, Site
from real_tiers import Deployment

from browser_service.client import Browser, BrowserPool
from browser_service.errors import LeaseNotFound, NotKept
from browser_service.models import Artifact, ClickId, ObserveRequest, Recording, VisitPage

pytestmark = pytest.mark.browser
REFERENCE = ObserveRequest(by_reference=True)
SAVE = """const link = document.createElement('a'); link.download = 'report.csv'; link.textContent = 'save';
    link.href = URL.createObjectURL(new Blob(['x'.repeat(1000)])); document.body.append(link);"""
DEADLINE_S = 60


@pytest.fixture
async def through_master(deployment: Deployment) -> AsyncGenerator[BrowserPool, None]:
    """A client that never goes to an instance itself."""
    deployment.wait_until_whole()
    async with BrowserPool(deployment.url, direct=False) as pool:
        yield pool


async def kept(browser: Browser, kinds: set[str]) -> dict[str, Artifact]:
    """The artifacts by kind, as soon as there are all of them."""
    with anyio.fail_after(DEADLINE_S):
        while True:
            found = {artifact.kind: artifact for artifact in await browser.artifacts()}
            if found.keys() == kinds:
                return dict(found)
            await anyio.sleep(0.05)


async def test_the_client_fetches_everything_through_the_master(
    through_master: BrowserPool, deployment: Deployment, site: Site, tmp_path: Path
) -> None:
    recording = Recording(video=True, trace=True)
    async with through_master.lease(owner="kept", viewport=SMALL, record=recording, downloads=True) as browser:
        shot = (await browser.step(VisitPage(url=site.page("kept", "", script=SAVE)), REFERENCE)).observation.screenshot
        assert shot is not None and shot.data is None
        picture = await browser.picture(shot)
        assert hashlib.sha256(picture).hexdigest() == shot.sha256
        await browser.step(ClickId(id=1), REFERENCE)
        report = (await kept(browser, {"download"}))["download"]
        await browser.download(report, tmp_path / "report.csv")
        with pytest.raises(NotKept):
            await browser.blob("0" * 64)
    found = await kept(browser, {"download", "video", "trace"})
    for kind, artifact in found.items():
        await browser.download(artifact, tmp_path / kind)
    assert (tmp_path / "report.csv").read_bytes() == (tmp_path / "download").read_bytes() == b"x" * 1_000
    assert (tmp_path / "video").read_bytes()[:4] == b"\x1a\x45\xdf\xa3"
    assert zipfile.is_zipfile(tmp_path / "trace")
    assert await browser.blob(shot.sha256) == picture
    the_token_may_be_a_header(browser, deployment, report)


def the_token_may_be_a_header(browser: Browser, deployment: Deployment, report: Artifact) -> None:
    """It says where the lease was when the id does not: no port of it, and nobody remembers a lease that is over."""
    lease_id = browser.lease.instance_id.partition(":")[0]
    address = f"{deployment.url}/sessions/{lease_id}/artifacts"
    mine = {"x-lease-token": browser.lease.token}
    listed = httpx.get(address, headers=mine).raise_for_status().json()["artifacts"]
    assert report.id in {artifact["id"] for artifact in listed}
    fetched = httpx.get(f"{address}/{report.id}", headers=mine).raise_for_status()
    assert fetched.content == b"x" * 1_000 and "report.csv" in fetched.headers["content-disposition"]
    stolen = httpx.get(
        f"{deployment.url}/sessions/{browser.lease.instance_id}/artifacts", headers={"x-lease-token": "x"}
    )
    assert stolen.status_code == LeaseNotFound.status
