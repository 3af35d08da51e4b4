"""From environment to browser: what an episode's browser reaches and what is recorded of it, with the player of the loop."""

import subprocess
import zipfile
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from agent.config import AgentConfig, RecordConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.episodes.watch import BlockWatch, Watch
from agent.failures import failed
from agent.gym.spaces import say
from agent.judging.verifier import Verifier
from agent.types import AgentAction, Answer, Pictures, Step, StopReason, Task, Trajectory, Turn
from agent.verdict import Verdict
from browser_service.client import BrowserPool
from browser_service.models import ClickId, Observation, VisitPage
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import Service, running_service
from environments.base import Environment
from environments.config import EnvironmentConfig
from environments.miniwob import MiniWob, environment
from environments.miniwob.pages import Page, read_pages
from environments.registry import make_environment
from environments.web import serving
from flows.gym_env import make_env
from flows.settings.loop_config import ConfigError
from judging.blocking import sign_of_block
from judging.chain import Chain
from judging.verifiers.answer_judge import AnswerJudge
from storage.store import TrajectoryStore

pytestmark = pytest.mark.browser
CONFIG = Path(__file__).parents[2] / "configs" / "minimal.yaml"
CLICK = MiniWob().task_from_id("click-test.3")
FILM = AgentConfig(record=RecordConfig(video="all", trace="all"))


ORDER = "<form method=post action=/orders><input name=item value='2 mugs'><button>Order</button></form>"


class Browsers(NamedTuple):
    """A browser service in a thread, a web server of somebody else, and what was asked of that one."""

    url: str
    service: Service
    other: str
    hits: list[str]


@asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[Browsers]:
    other, hits = FastAPI(), list[str]()

    @other.api_route("/{path:path}", methods=["GET", "POST"])
    def page(path: str) -> HTMLResponse:
        hits.append(path)
        text = "<title>other</title><p>somebody else's</p>" + (ORDER if path == "shop" else "")
        status = 403 if path == "denied" else 200
        return HTMLResponse(text, status, headers={"access-control-allow-origin": "*"})

    async with (
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        serving(other) as elsewhere,
    ):
        yield Browsers(url, service, elsewhere.removeprefix("http://"), hits)


@pytest.fixture(scope="module")
def browsers() -> Generator[Browsers]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(running(Settings(slots=2))) as found:
        yield found


class Does:
    """A policy of fixed actions, and then an answer; `meanwhile` is called before each."""

    def __init__(self, *actions: AgentAction, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._actions, self._meanwhile = (*actions, Answer(text="done")), meanwhile

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        self._meanwhile()
        return Turn(completion=None, action=self._actions[len(history)])


class Solves:
    """The scripted solutions of MiniWoB++."""

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        return Turn(completion=None, action=MiniWob().solve(task, goal, observation, step=len(history)))


async def played(
    url: str,
    world: Environment,
    policy: Does | Solves,
    *,
    task: Task = CLICK,
    config: AgentConfig = AgentConfig(),  # noqa: B008
    store: TrajectoryStore | None = None,
    watch: Watch | None = None,
) -> Trajectory:
    """One episode, as a rank plays it; stored where there is a store."""
    async with BrowserPool(url) as pool, world:
        ended = await play(
            EpisodeKey(task, "e1", group="g", member=0, iteration=1),
            EpisodeSetup(
                policy=policy,
                pool=pool,
                serve=world.serve,
                viewport=world.viewport,
                config=config,
            ),
            recording=store.begin("e1") if store else None,
            watch=watch,
        )
    if store:
        store.write(ended.trajectory, ended.images)
    return ended.trajectory


def live(other: str, tmp_path: Path, **more: object) -> Environment:
    """Tasks on somebody else's server, as a configuration says."""
    tasks = {"train": str(tmp_path / "t.jsonl"), "heldout": str(tmp_path / "t.jsonl")}
    port = other.partition(":")[2]
    sites = {"private_sites": [f"127.0.0.1:{port}", f"localhost:{port}"]}
    extra = {key: more.pop(key) for key in list(more) if key == "only_private_sites"}
    return make_environment(EnvironmentConfig.model_validate({"name": "live", "tasks": tasks | sites | extra, **more}))


async def test_a_bundled_page_reaches_only_itself(browsers: Browsers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not another server of this machine, and nothing of the public web: the page asks for both, and so does the agent."""
    asks = f"""<script>for (const address of ['http://{browsers.other}/leak', 'http://example.com/leak'])
        fetch(address, {{mode: 'no-cors'}}).then(() => document.title = 'reached', () => document.title += '!')</script>"""

    def with_script(folder: Path) -> dict[str, Page]:
        pages = read_pages(folder)
        own = pages["miniwob/click-test.html"]
        return pages | {"miniwob/click-test.html": Page(own.body + asks.encode(), own.media_type)}

    monkeypatch.setattr(environment, "read_pages", with_script)
    world = make_environment(EnvironmentConfig(domains=("click-test",)))
    visits = (VisitPage(url="http://example.com/"), VisitPage(url=f"http://{browsers.other}/visit"))
    trajectory = await played(browsers.url, world, Does(*visits))
    assert trajectory.failure is None and trajectory.stop is StopReason.ANSWERED
    assert [step.feedback.endswith("is none of the sites of this task") for step in trajectory.steps[:2]] == [True] * 2
    assert "reached" not in trajectory.steps[0].observation.title
    assert browsers.hits == []


@pytest.mark.parametrize("name", ["blocked_hosts", "blocking"])
async def test_a_blocked_host_is_out_of_reach(browsers: Browsers, tmp_path: Path, name: str) -> None:
    """The hosts that training leaves alone are shut to training only; the others to everybody."""
    port = browsers.other.partition(":")[2]
    shut = ["localhost"] if name == "blocked_hosts" else {"hosts": ["localhost"]}
    refused = []
    for split in ("train", "heldout"):
        browsers.hits.clear()
        task = Task(id="t", environment="live", goal="Look.", start_url=f"http://{browsers.other}/", split=split)
        visit = VisitPage(url=f"http://localhost:{port}/{split}")
        trajectory = await played(browsers.url, live(browsers.other, tmp_path, **{name: shut}), Does(visit), task=task)
        assert trajectory.failure is None
        refused.append("localhost is on the list of blocked hosts" in trajectory.steps[0].feedback)
        assert (split in browsers.hits) is not refused[-1]
    assert refused == [True, name == "blocked_hosts"]


async def test_tasks_of_private_sites_are_played_without_the_web(browsers: Browsers, tmp_path: Path) -> None:
    world = live(browsers.other, tmp_path, only_private_sites=True)
    task = Task(id="t", environment="live", goal="Look.", start_url=f"http://{browsers.other}/")
    trajectory = await played(browsers.url, world, Does(VisitPage(url="http://example.com/")), task=task)
    assert trajectory.failure is None and "none of the sites of this task" in trajectory.steps[0].feedback


@pytest.mark.parametrize("isolation", ["context", "browser"])
async def test_isolation_reaches_the_lease(browsers: Browsers, isolation: str) -> None:
    seen: list[str] = []

    def look() -> None:
        held = [session.browser for session in browsers.service.sessions._table if session.grant.request.owner == "e1"]
        seen.extend(browser.profile.isolation for browser in held if browser)

    world = make_environment(EnvironmentConfig.model_validate({"domains": ["click-test"], "isolation": isolation}))
    trajectory = await played(browsers.url, world, Does(meanwhile=look))
    assert trajectory.failure is None and seen == [isolation]


async def test_a_film_and_a_trace_lie_beside_the_trajectory(browsers: Browsers, tmp_path: Path) -> None:
    """A second attempt replaces them."""
    store = TrajectoryStore(tmp_path)
    for _ in range(2):
        task = MiniWob().task_from_id("enter-text.3")
        trajectory = await played(browsers.url, MiniWob(), Solves(), task=task, config=FILM, store=store)
        assert trajectory.stop is StopReason.DONE and trajectory.phases["record"] > 0
        assert [(one.kind, one.file, one.problem) for one in trajectory.recorded] == [
            ("video", "video.webm", ""),
            ("trace", "trace.zip", ""),
        ]
        assert {path.name for path in (tmp_path / "e1").iterdir()} == {"trajectory.json", "video.webm", "trace.zip"}
        assert [one.size for one in trajectory.recorded] == [
            (tmp_path / "e1" / one.file).stat().st_size for one in store.read("e1").recorded
        ]
    frames, seconds = frames_of(tmp_path / "e1" / "video.webm")
    assert frames > 1 and seconds > 0
    with zipfile.ZipFile(tmp_path / "e1" / "trace.zip") as trace:
        assert trace.testzip() is None and any(name.endswith(".trace") for name in trace.namelist())


def frames_of(film: Path) -> tuple[int, float]:
    """Frames and seconds of a film, all of it decoded."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    done = subprocess.run(
        [ffmpeg, "-v", "error", "-i", film, "-f", "null", "-"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return imageio_ffmpeg.count_frames_and_secs(str(film))


async def test_an_episode_that_breaks_is_filmed_too(browsers: Browsers, tmp_path: Path) -> None:
    def breaks() -> None:
        raise failed("infra", "MODEL_GONE", "on purpose", retryable=True)

    store = TrajectoryStore(tmp_path)
    trajectory = await played(browsers.url, MiniWob(), Does(meanwhile=breaks), config=FILM, store=store)
    assert trajectory.failure is not None and trajectory.failure.code == "MODEL_GONE"
    assert [one.problem for one in trajectory.recorded] == ["", ""]


async def test_without_a_rule_nothing_is_recorded(browsers: Browsers, tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    trajectory = await played(browsers.url, MiniWob(), Solves(), store=store)
    assert trajectory.recorded == () and "record" not in trajectory.phases
    assert [path.name for path in (tmp_path / "e1").iterdir()] == ["trajectory.json"]


async def test_a_film_that_is_lost_fails_no_episode(browsers: Browsers, tmp_path: Path) -> None:
    """The service forgot it, or the disk does not take it."""
    async with running(Settings(slots=1, artifact_retention_s=0)) as forgetful:
        trajectory = await played(
            forgetful.url, MiniWob(), Solves(), config=FILM, store=TrajectoryStore(tmp_path / "a")
        )
    assert trajectory.failure is None and trajectory.stop is StopReason.DONE
    assert [(one.kind, one.file) for one in trajectory.recorded] == [("video", ""), ("trace", "")]
    assert all("nothing is kept of a lease" in one.problem for one in trajectory.recorded)

    store = TrajectoryStore(tmp_path / "b")
    in_the_way = store.root / "e1" / "trace.zip" / "in the way"
    takes_no_film = Does(meanwhile=lambda: in_the_way.mkdir(parents=True))
    trajectory = await played(browsers.url, MiniWob(), takes_no_film, config=FILM, store=store)
    assert trajectory.failure is None and trajectory.stop is StopReason.ANSWERED
    film, trace = trajectory.recorded
    assert (film.file, film.problem) == ("video.webm", "") and trace.problem.startswith("it could not be stored: ")
    assert (store.root / "e1" / "video.webm").stat().st_size == film.size
    assert not list(store.root.rglob("*.partial"))


async def test_where_nothing_can_be_kept_nothing_is_recorded(browsers: Browsers) -> None:
    trajectory = await played(browsers.url, MiniWob(), Solves(), config=FILM)
    assert trajectory.stop is StopReason.DONE and trajectory.recorded == ()


async def test_the_requests_of_an_episode_judge_it(browsers: Browsers, tmp_path: Path) -> None:
    """From the page's form to the reward, by the files of the store alone: the agent's answer says nothing."""
    must = {
        "method": "POST",
        "url": {"url": f"http://{browsers.other}/orders"},
        "body": {"has_fields": {"item": "2 mugs"}},
    }
    expect = {"kind": "network", "must": [must | {"most": 1}]}
    task = Task(id="t1", environment="live", goal="Order.", start_url=f"http://{browsers.other}/shop", expect=expect)
    for clicks, reward in ((1, 1.0), (0, 0.0)):
        store = TrajectoryStore(tmp_path / str(clicks))
        policy = Does(*[ClickId(id=2)] * clicks)
        trajectory = await played(browsers.url, live(browsers.other, tmp_path), policy, task=task, store=store)
        assert [(one.kind, one.file, one.problem) for one in trajectory.recorded] == [("network", "network.jsonl", "")]
        verdict = await AnswerJudge(requests=store.requests).judge(store.read("e1"))
        assert verdict.reward == reward and verdict.evidence_steps == tuple(range(clicks))
    (store.root / "e1" / "network.jsonl").write_text("{}")
    assert (await AnswerJudge(requests=store.requests).judge(store.read("e1"))).reward is None, (
        "it is not what was written"
    )


async def test_a_page_that_refuses_the_visit_ends_the_episode(browsers: Browsers, tmp_path: Path) -> None:
    denied, shop = f"http://{browsers.other}/denied", f"http://{browsers.other}/shop"
    task = Task(id="t1", environment="live", goal="Look.", start_url=denied, reference_answer="done")

    async def stop(*addresses: str) -> Trajectory:
        policy = Does(*(VisitPage(url=address) for address in addresses))
        watch = Watch(blocked=BlockWatch(sign_of_block, pages=2))
        return await played(browsers.url, live(browsers.other, tmp_path), policy, task=task, watch=watch)

    blocked = await stop(denied, denied)
    assert blocked.stop is StopReason.BLOCKED and blocked.failure is None and len(blocked.steps) == 1
    assert blocked.final_observation is not None and blocked.final_observation.status == 403

    # A check of the environment would say 0, and is not asked.
    async def check(episode: Trajectory, _: object) -> Verdict:
        return Verdict(trajectory_id=episode.id, reward=0, judge="check")

    chain = Chain([Verifier(check)])
    verdict = await chain.judge(blocked)
    assert verdict.reward is None and verdict.blocked and "403" in verdict.evidence
    turned_back = await stop(shop, denied, shop)
    assert turned_back.stop is StopReason.ANSWERED


def test_the_gymnasium_environment_goes_the_same_way(browsers: Browsers, tmp_path: Path) -> None:
    films = ["agent.record={video: failures, trace: all}"]
    with pytest.raises(ConfigError, match="pass store="):
        make_env(CONFIG, browsers=browsers.url, overrides=films)
    with make_env(CONFIG, browsers=browsers.url, overrides=films, store=tmp_path) as env:
        env.reset(options={"task": "click-test.3"})
        _, _, _, _, info = env.step(say(VisitPage(url="http://example.com/")))
        assert "none of the sites of this task" in info["feedback"]
        env.step(say(Answer(text="lost")))
        observation, info = env.reset(options={"task": "click-test.4"})
        action = MiniWob().solve(
            MiniWob().task_from_id("click-test.4"), observation["goal"], info["observation"], step=0
        )
        assert env.step(say(action))[1] == 1.0
        env.reset()
    store = TrajectoryStore(tmp_path)
    assert store.ids() == ["gym-click-test.3-000001", "gym-click-test.4-000002"]
    assert [sorted(path.name for path in (tmp_path / name).iterdir()) for name in store.ids()] == [
        ["trace.zip", "trajectory.json", "video.webm"],
        ["trace.zip", "trajectory.json"],
    ]
