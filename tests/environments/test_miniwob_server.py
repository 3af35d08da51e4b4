"""The page server, spoken to directly: what it serves, what it believes. No browser."""

import asyncio
import re
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio

from agent.failures import EpisodeFailure
from agent.types import Site
from environments.miniwob import MiniWob
from environments.miniwob.server import MAX_REPORT_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def miniwob() -> AsyncGenerator[MiniWob]:
    async with MiniWob(goal_deadline_s=0.2) as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="module")
async def site(miniwob: MiniWob) -> AsyncGenerator[Site]:
    async with miniwob.serve(miniwob.task("click-button", 7, "train"), trajectory_id="t1") as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def base(site: Site) -> str:
    """`http://127.0.0.1:<port>/episode/<token>`"""
    return site.start_url.removesuffix("/miniwob/click-button.html")


def port_of(site: Site) -> int:
    return int(re.findall(r":(\d+)/", site.start_url)[0])


async def report(http: httpx.AsyncClient, site: Site, kind: str, body: object) -> int:
    return (await http.post(f"{base(site)}/{kind}", json=body)).status_code


async def test_the_page_carries_the_bootstrap_and_its_seed(site: Site, http: httpx.AsyncClient) -> None:
    page = await http.get(site.start_url)
    assert page.headers["content-type"].startswith("text/html")
    ((path, seed),) = re.findall(r'<script src="(/files/[^"]+)" data-seed="(\d+)">', page.text)
    assert seed == "7" and page.text.index(path) < page.text.index("genProblem")
    home = base(site).partition("/episode/")[0]
    script = (await http.get(f"{home}{path}")).text
    assert script.index("var core = {}") < script.index("core.startEpisode = function") < script.index("var ui_utils")
    for loaded, kind in ((path, "javascript"), ("/files/core/core.css", "text/css")):
        found = await http.get(f"{home}{loaded}")
        assert found.status_code == 200
        assert kind in found.headers["content-type"]


async def test_libraries_have_one_address_for_all_episodes(miniwob: MiniWob, http: httpx.AsyncClient) -> None:
    """So that a reused browser has them in its cache."""
    loaded = []
    for seed in (7, 8):
        async with miniwob.serve(miniwob.task("click-button", seed, "train"), trajectory_id="t") as site:
            loaded.append(re.findall(r'(?:src|href)="([^"]+)"', (await http.get(site.start_url)).text))
    assert loaded[0] == loaded[1] and all(path.startswith("/files/") for path in loaded[0])


@pytest.mark.parametrize(
    "path",
    [
        *("miniwob/click-link.html", "bootstrap.js", "core/nothing.js", "..%2f__init__.py", ""),
        *("scripts.js", "scripts.js?", "scripts.js?core/core.js&miniwob/click-link.html", "scripts.js?core/nothing.js"),
    ],
)
async def test_only_libraries_are_shared(site: Site, http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"{base(site).partition('/episode/')[0]}/files/{path}")).status_code == 404


async def test_every_episode_has_an_address_that_cannot_be_guessed_and_dies_with_it(
    miniwob: MiniWob, http: httpx.AsyncClient
) -> None:
    task = miniwob.task("click-button", 7, "train")
    async with miniwob.serve(task, trajectory_id="a") as one, miniwob.serve(task, trajectory_id="b") as other:
        assert one.start_url != other.start_url
        token = re.findall(r"/episode/([^/]+)/", one.start_url)[0]
        assert len(token) >= 32
        assert (await http.get(one.start_url)).status_code == 200
    assert (await http.get(one.start_url)).status_code == 404
    assert await report(http, one, "started", {"utterance": "late"}) == 404


@pytest.mark.parametrize(
    "path", ["miniwob/click-link.html", "core/nothing.js", "flight/AA/index.html", "..%2f..%2f__init__.py", ""]
)
async def test_an_episode_serves_only_its_own_page(site: Site, http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"{base(site)}/{path}")).status_code == 404


async def test_another_host_name_and_other_methods_are_refused(site: Site, http: httpx.AsyncClient) -> None:
    assert (await http.get(site.start_url, headers={"Host": "rebound.example"})).status_code == 400
    assert (await http.post(site.start_url)).status_code == 405
    assert (await http.put(site.start_url)).status_code == 405
    assert (await http.get(f"{base(site)}/ended")).status_code == 404


async def test_the_first_end_wins(site: Site, http: httpx.AsyncClient) -> None:
    assert await report(http, site, "started", {"utterance": "Click."}) == 204
    assert not site.is_over()
    assert await report(http, site, "ended", {"raw_reward": -1}) == 204
    assert await report(http, site, "ended", {"raw_reward": 1}) == 409
    assert await site.goal() == "Click."
    assert site.is_over()
    assert await site.final_state() == {"done": True, "raw_reward": -1.0, "utterance": "Click."}


async def test_a_reloaded_page_does_not_change_the_goal(site: Site, http: httpx.AsyncClient) -> None:
    assert await report(http, site, "started", {"utterance": "first"}) == 204
    assert await report(http, site, "started", {"utterance": "second"}) == 204
    assert await site.goal() == "first"


@pytest.mark.parametrize(
    "forged",
    [{"raw_reward": 2}, {"raw_reward": "1"}, {"raw_reward": None}, {"raw_reward": 1, "done": True}, {}, [], "1"],
)
async def test_a_report_that_is_none_is_refused(site: Site, http: httpx.AsyncClient, forged: object) -> None:
    await report(http, site, "started", {"utterance": "Click."})
    assert await report(http, site, "ended", forged) == 422
    assert not site.is_over()


async def test_a_wrong_token_reports_nothing(site: Site, http: httpx.AsyncClient) -> None:
    await report(http, site, "started", {"utterance": "Click."})
    forged = re.sub("/episode/[^/]+", "/episode/" + "A" * 32, base(site))
    assert (await http.post(f"{forged}/ended", json={"raw_reward": 1})).status_code == 404
    assert not site.is_over()


async def test_an_end_before_the_start_and_a_huge_report_are_refused(site: Site, http: httpx.AsyncClient) -> None:
    assert await report(http, site, "ended", {"raw_reward": 1}) == 409
    assert await report(http, site, "started", {"utterance": "x" * MAX_REPORT_BYTES}) == 413
    assert await report(http, site, "started", {"utterance": "x" * 5_000}) == 422
    assert await report(http, site, "started", {"utterance": ""}) == 422


async def test_a_page_that_never_states_its_task_is_the_sites_failure(site: Site) -> None:
    with pytest.raises(EpisodeFailure, match=r"click-button\.7 did not state its task within 0\.2 s") as error:
        await site.goal()
    assert error.value.failure.side == "site"


async def test_a_busy_port_is_one_sentence() -> None:
    async with MiniWob() as first, first.serve(first.task("click-test", 1, "train"), trajectory_id="t") as site:
        port = port_of(site)
        with pytest.raises(OSError, match=f"Cannot serve a site on 127.0.0.1:{port} .*choose another port"):
            async with MiniWob(port=port):
                pass


async def test_serving_needs_a_started_environment_and_leaving_it_stops_the_server(http: httpx.AsyncClient) -> None:
    environment = MiniWob()
    task = environment.task("click-test", 1, "train")
    with pytest.raises(RuntimeError, match="enter it with `async with`"):
        async with environment.serve(task, trajectory_id="t"):
            pass
    async with environment, environment.serve(task, trajectory_id="t") as site:
        assert (await http.get(site.start_url)).status_code == 200
    with pytest.raises(httpx.ConnectError):
        await http.get(site.start_url)
    port = port_of(site)
    assert f"web server on port {port}" not in {other.get_name() for other in asyncio.all_tasks()}
