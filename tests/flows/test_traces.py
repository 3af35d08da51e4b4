"""One trace from the loop to the browser service and the update: a real browser service, real episodes, a real receiver of spans."""

import json
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from loop_configs import WriteConfig
from otlp_receiver import Receiver, receiving
from real_services import free_port, running_service, supervised
from stand_in_model import StandInModel, running_model

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.models.openai_chat import OpenAIChat, Served
from agent.types import Reach, Task
from browser_service.client import BrowserPool
from browser_service.models import Observe, Viewport
from flows.services.model_servers import socket_path
from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.stages.loop import run_stage
from flows.tracking.spans import check_traces, traced_iteration, traced_run
from rollouts.shard_workers import ShardWorkers
from storage.errors import LoopError
from storage.stages import Stage, StageKey
from storage.store import TrajectoryStore
from telemetry.exporter import tracing
from telemetry.ids import bound
from telemetry.spans import span
from training.checkpointing.checkpoints import import_policy

TASK = Task(id="t.1", environment="test", goal="", start_url="", max_steps=3)
VIEWPORT = Viewport(width=320, height=240)
pytestmark = pytest.mark.browser

CLIENT, SERVER = 3, 2
SECRET = "sesame-4711"


@pytest.fixture(scope="module")
def receiver() -> Generator[Receiver]:
    """A back end for the spans of this process and of the processes that it starts."""
    with receiving() as receiver, pytest.MonkeyPatch.context() as patch:
        for name, value in receiver.environment.items():
            patch.setenv(name, value)
        patch.setenv("BROWSER_SERVICE_API_KEY", SECRET)
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"api-key={SECRET}")
        yield receiver


@pytest.fixture(scope="module")
def browsers(receiver: Receiver) -> Generator[str]:
    """A browser service of one process."""
    with running_service("up", "--slots", "2", TRACES="true") as service:
        yield service.url


@pytest.fixture
def folder(browsers: str, write_config: WriteConfig, model_directory: Path) -> RunFolder:
    """A run of one iteration: a group of two single clicks."""
    (model_directory / "config.json").write_text(json.dumps({"model_type": "none", "vocab_size": 100}))
    shape = {"groups_per_iteration": 1, "group_size": 2, "concurrency": 2, "shards": 1, "min_valid_groups": 0}
    path = write_config(environment={"domains": ["click-test"]}, rollout=shape, iterations=1)
    config = load_config(path, ["services.traces=true", "update.keep_warm=false"])
    folder = RunFolder.create("traced", config)
    import_policy(config.policy.model, folder.policies)
    supervised(config, browsers)
    return folder


async def test_one_trace_has_the_parts_of_a_run_below_one_another(folder: RunFolder, receiver: Receiver) -> None:
    with running_model(socket_path(folder.config.services.state_dir)) as model, traced_run(folder):
        async with ShardWorkers(folder.inputs) as workers:
            with traced_iteration(1):
                for stage in (Stage.ROLLOUT, Stage.JUDGE, Stage.POLICY_UPDATE):
                    await run_stage(folder, StageKey(1, stage), workers)
    receiver.until("POST /release", 4)

    spans = [one for one in receiver.spans if one.trace == receiver.named("run", run="traced")[0].trace]
    paths = {" > ".join(receiver.path(one)) for one in spans}
    rollout = "run > iteration > rollout"
    click = f"{rollout} > episode > step > execute_tool click_id"
    assert paths >= {
        "run > iteration > judge",
        f"{rollout} > publish",
        f"{rollout} > judge",
        f"{rollout} > episode > lease > POST /get > POST /get",
        f"{rollout} > episode > execute_tool visit_page > POST /step",
        f"{rollout} > episode > step > chat policy-1",
        f"{click} > POST /step",
        "run > iteration > policy_update > update > rl-loop-update",
    }
    assert not [path for path in paths if path.startswith("?")]
    check_ids(folder, receiver)
    check_who_called_whom(receiver, model)
    calls = [one for one in spans if " > ".join(receiver.path(one)) == click]
    assert all(one.kind == CLIENT and one.attributes["gen_ai.tool.name"] == "click_id" for one in calls)


def check_ids(folder: RunFolder, receiver: Receiver) -> None:
    """Every episode, and everything below it in any process, has the ids of a stored trajectory."""
    for trajectory in TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)):
        mine = {"run": "traced", "iteration": 1, "trajectory": trajectory.id}
        (episode,) = receiver.named("episode", **mine, task=trajectory.task.id, policy_version=0, stop="done")
        assert episode.attributes["gen_ai.conversation.id"] == trajectory.id
        lease = episode.attributes["rl_loop.lease"]
        steps = receiver.named("step", **mine, lease=lease, action="click_id")
        assert len(steps) == len(trajectory.steps) == episode.attributes["rl_loop.steps"]
        (call,) = receiver.named("chat policy-1", **mine, lease=lease)
        assert call.attributes["gen_ai.usage.input_tokens"] == 3 and call.attributes["gen_ai.usage.output_tokens"] == 2
        (judged,) = receiver.named("judge", **mine, judge="verifier", reward=1.0)
        served = receiver.named("POST /step", **mine, lease=lease)
        assert {one.attributes["rl_loop.action"] for one in served} == {"visit_page", "click_id"}
        assert all(one.kind == SERVER and one.service == "browser-service" for one in served)
        assert not any(one.failed for one in (episode, call, judged, *steps, *served))


def check_who_called_whom(receiver: Receiver, model: StandInModel) -> None:
    """The model server is told the span of each call."""
    told = {value.split("-")[2] for value in model.traceparents}
    assert told >= {one.id for one in receiver.named("chat policy-1")}
    assert {one.service for one in receiver.spans} == {"rl-loop", "browser-service", "rl-loop-update"}


class OnePage:
    """A site whose only page, cookie and address hold the secret; any path but one is missing."""

    is_over = staticmethod(lambda: False)
    login = None

    def __init__(self, url: str) -> None:
        self.start_url = f"{url}/{SECRET}?key={SECRET}"
        self.reach = Reach(sites=[url.removeprefix("http://")])

    async def final_state(self) -> dict[str, Any]:
        return {"secret": SECRET}


class SecretPage(BaseHTTPRequestHandler):
    """The page."""

    def do_GET(self) -> None:
        body = f"<title>{SECRET}</title><button>{SECRET}</button>".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("set-cookie", f"session={SECRET}")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def site() -> Generator[OnePage]:
    """The page, served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SecretPage)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield OnePage(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("broken", [None, "page", "model"])
async def test_no_content_leaves_in_a_span(
    broken: str | None, site: OnePage, receiver: Receiver, browsers: str, tmp_path: Path
) -> None:
    @asynccontextmanager
    async def serve(task: Task, *, trajectory_id: str) -> AsyncGenerator[Any]:
        yield site

    if broken == "page":
        site.start_url = f"http://127.0.0.1:1/{SECRET}"
    config = AgentConfig(max_format_errors=2)
    slot = EpisodeKey(TASK.model_copy(update={"goal": f"Type {SECRET}."}), f"e-{broken}", "g", member=0, iteration=1)
    with running_model(tmp_path / "model.sock") as model, tracing("test", wanted=True), span("test"):
        model.answer = f'click(1) type("{SECRET}")'
        model.status = 500 if broken == "model" else 200
        policy = OpenAIChat(config, Served("policy-1", None, None), uds=tmp_path / "model.sock")
        async with BrowserPool(browsers) as pool, policy:
            setup = EpisodeSetup(policy, pool, serve, VIEWPORT, config, policy_version=1)
            played = (await play(slot, setup)).trajectory
    (episode,) = receiver.named("episode", trajectory=slot.trajectory_id)
    assert SECRET in played.model_dump_json(), "the secret is in the record of the episode"
    if broken:
        assert played.failure is not None and episode.failed
        assert episode.attributes["error.type"] == played.failure.code
        assert episode.attributes["rl_loop.fault"] == played.failure.side
    else:
        (step, *_) = receiver.named("step", trajectory=slot.trajectory_id)
        assert step.attributes["rl_loop.fault"] == "policy" and step.attributes["error.type"] == "NO_ACTION"
    assert any(SECRET in value for headers in receiver.headers for value in headers.values())
    assert not [body for body in receiver.bodies if SECRET.encode() in body]


@pytest.mark.chaos
async def test_a_call_is_traced_from_tier_to_tier(receiver: Receiver) -> None:
    place = ("--instance-port", str(free_port()))
    with (
        running_service("node", "--slots", "1", "--instances", "1", *place, TRACES="true") as node,
        tracing("test", wanted=True),
        span("test"),
        bound(run="tiers", trajectory="t-1"),
    ):
        async with BrowserPool(node.url, direct=False) as pool, pool.lease(owner="me") as browser:
            await browser.step(Observe())
            token = browser.lease.token
    mine = [receiver.path(one) for one in receiver.spans if one.attributes.get("rl_loop.run") == "tiers"]
    assert ["test", "POST /get", "POST /get", "POST /tier/admit"] in mine
    assert ["test", "execute_tool observe", "POST /step", "POST /step"] in mine, "forwarded by the node"
    assert not [body for body in receiver.bodies if token.encode() in body]


def test_traces_that_can_not_be_sent_are_refused_before_a_run(
    config: LoopConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert check_traces(config) == "off (services.traces)"
    wanted = config.model_copy(update={"services": config.services.model_copy(update={"traces": True})})
    with pytest.raises(LoopError, match=r"^services.traces: expected OTEL_EXPORTER_OTLP_PROTOCOL to be http/protobuf"):
        check_traces(wanted)
