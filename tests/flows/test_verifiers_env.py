"""`verifiers` plays our environment by our harness, with a model behind its own endpoint, and records the reward.

Needs the package `verifiers` in an environment of its own: it wants openai < 3, and this project's vendors' models openai 3.
"""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

from browser_service.client import BrowserPool
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.web import serving

pytestmark = [pytest.mark.chaos, pytest.mark.browser, pytest.mark.filterwarnings("default")]
vf = pytest.importorskip("verifiers.v1", reason="the package verifiers is not installed here")
CONFIG = """
policy: {model: x}
environment: {domains: [click-button]}
agent: {prompt: compact, draw_marks: false}
"""


class Model:
    """A server of OpenAI's chat protocol whose model clicks the element that the goal names, or always the first one."""

    def __init__(self, *, is_right: bool) -> None:
        self.calls, self._is_right = 0, is_right
        self.app = FastAPI()
        self.app.post("/v1/chat/completions")(self.answer)

    async def answer(self, request: Request) -> dict[str, Any]:
        body = await request.json()
        assert request.headers["authorization"] == "Bearer key-of-the-test"
        self.calls += 1
        text = json.dumps(body["messages"], ensure_ascii=False).replace('\\"', '"')
        wanted = re.findall(r'[Cc]lick on the "([^"]+)"', text)[-1]
        found = re.findall(rf"\[(\d+)\][^\[]*?\b{re.escape(wanted)}\b", text)
        said = f"click({found[-1] if self._is_right else 99})"
        message = {"role": "assistant", "content": said}
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
        }


@asynccontextmanager
async def service() -> AsyncGenerator[str]:
    settings = Settings(slots=2, warm=1)
    async with running_service(settings) as service, serving(create_app(settings, service)) as url:
        yield url


@pytest.mark.parametrize("is_right", [True, False])
async def test_verifiers_plays_and_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_right: bool) -> None:
    from verifiers.v1.configs.agent import AgentConfig
    from verifiers.v1.configs.client import EvalClientConfig
    from verifiers.v1.runtimes import SubprocessConfig

    from flows.ecosystem.verifiers_env import WebHarnessConfig, WebTaskset, WebTasksetConfig

    monkeypatch.setenv("KEY_OF_THE_TEST", "key-of-the-test")
    config = tmp_path / "loop.yaml"
    config.write_text(CONFIG)
    tasks = list(WebTaskset(WebTasksetConfig(config=str(config), tasks=3)))
    assert len({task.data.task_id for task in tasks}) == 3 and tasks[0].data.task_id.startswith("click-button.")
    model = Model(is_right=is_right)
    async with service() as browsers, serving(model.app) as address, BrowserPool(browsers) as operator:
        client = EvalClientConfig(base_url=f"{address}/v1", api_key_var="KEY_OF_THE_TEST")
        harness = WebHarnessConfig(config=str(config), browsers=browsers)
        agent = vf.Agent(AgentConfig(harness=harness, model="m", client=client, runtime=SubprocessConfig()))
        async with agent:
            trace = await agent.run(tasks[0])
        assert trace.errors == [] and trace.ok, trace.errors
        assert {name: reward.score for name, reward in trace.rewards.items()} == {"verified": float(is_right)}
        assert trace.metrics["steps"] >= 1 and model.calls == trace.metrics["steps"] == len(trace.calls)
        assert await operator.sessions() == []


async def test_a_broken_browser_service_is_an_error_and_no_reward(tmp_path: Path) -> None:
    from verifiers.v1.configs.agent import AgentConfig
    from verifiers.v1.configs.client import EvalClientConfig
    from verifiers.v1.runtimes import SubprocessConfig

    from flows.ecosystem.verifiers_env import WebHarnessConfig, WebTaskset, WebTasksetConfig

    config = tmp_path / "loop.yaml"
    config.write_text(CONFIG + "rollout: {}\n")
    (task,) = list(WebTaskset(WebTasksetConfig(config=str(config), tasks=1)))
    harness = WebHarnessConfig(config=str(config), browsers="http://127.0.0.1:1")
    client = EvalClientConfig(base_url="http://127.0.0.1:1/v1", api_key_var="KEY_OF_THE_TEST")
    async with vf.Agent(AgentConfig(harness=harness, model="m", client=client, runtime=SubprocessConfig())) as agent:
        trace = await agent.run(task)
    assert not trace.ok and "UNREACHABLE" in str(trace.errors[0]) and trace.rewards.get("verified") is None
