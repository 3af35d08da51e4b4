"""Our environments for `verifiers` (0.4, its v1 interface), so that prime-rl and its evaluations train and measure on them.

    eval rl_loop_verifiers --env.taskset.config configs/demo.yaml --env.agent.harness.id rl_loop_verifiers \
        --env.agent.harness.config configs/demo.yaml --env.agent.runtime.type subprocess

The taskset has the tasks of a configuration; the harness is our episode: our prompts, browsers and parser. Every call of
the model goes through the endpoint that `verifiers` hands over, which records it with its tokens. The reward is the
environment's verifier; an episode that the infrastructure broke is an error of the rollout, and has none.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import verifiers.v1 as vf
from verifiers.v1.clients import ModelContext
from verifiers.v1.configs.harness import HarnessConfig
from verifiers.v1.configs.taskset import TasksetConfig
from verifiers.v1.errors import SandboxError
from verifiers.v1.harness import Harness
from verifiers.v1.runtimes import ProgramResult, Runtime

from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.judging.verifier import verdict_of
from agent.model_config import ChatModel
from agent.models.openai_chat import OpenAIChat, Served
from agent.types import Split, Trajectory
from browser_service.client import BrowserPool
from environments.registry import make_environment
from flows.gym_env import ConfiguredTasks
from flows.services.services import address_of
from flows.services.specs import BROWSER
from flows.settings.loop_config import load_config

OURS = "rl_loop"
"""Key of `trace.info` with the result of an episode."""


class WebData(vf.TaskData):
    """One task, by its id."""

    task_id: str
    """Id of the task in the configuration's environment."""


class WebTask(vf.Task[WebData]):
    """A task whose reward our environment gives."""

    @vf.reward
    async def verified(self, trace: vf.Trace) -> float:
        """The reward of the environment's verifier, 0 to 1."""
        return float(trace.info[OURS]["reward"])

    @vf.metric
    async def steps(self, trace: vf.Trace) -> float:
        """Steps of the episode."""
        return float(trace.info[OURS]["steps"])


class WebTasksetConfig(TasksetConfig):
    """Which tasks are loaded."""

    config: str = "configs/demo.yaml"
    """Configuration of a loop; its section `environment` has the tasks."""
    split: Split = "train"
    tasks: int = 64
    """Tasks that are drawn."""
    seed: int = 0


class WebTaskset(vf.Taskset[WebTask, WebTasksetConfig]):
    """The tasks of a configuration's environment, drawn as a rollout draws them; no task twice."""

    def load(self) -> Iterator[WebTask]:
        """Yields the tasks. Raises `ConfigError`."""
        source = ConfiguredTasks(load_config(Path(self.config.config)).environment, self.config.split)
        rng = np.random.default_rng(self.config.seed)
        drawn = (source.draw(rng).id for _ in range(10 * self.config.tasks))  # a small source has fewer tasks
        for name in islice(dict.fromkeys(drawn), self.config.tasks):
            yield WebTask(WebData(name=name, prompt=name, task_id=name), self.config.task)


class WebHarnessConfig(HarnessConfig):
    """Settings of the episodes."""

    id: str = "rl_loop_verifiers"
    config: str = "configs/demo.yaml"
    """Configuration of a loop; its sections `environment` and `agent` are used."""
    browsers: str = ""
    """Address of a browser service; empty: the one that `rl-loop up` started."""
    split: Split = "train"


class WebHarness(Harness[WebHarnessConfig]):
    """Plays one episode in this process; the browser is elsewhere, and the model runs no code here."""

    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: ModelContext,
        trace: vf.Trace,
        runtime: Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
        **options: Any,
    ) -> ProgramResult:
        """Plays the episode of `data`. Raises `SandboxError` when anything but the model broke it, or nobody can judge it."""
        assert isinstance(data, WebData), "the tasks are those of WebTaskset"
        loop = load_config(Path(self.config.config))
        task = ConfiguredTasks(loop.environment, self.config.split).find(data.task_id)
        base_url = endpoint.rstrip("/").removesuffix("/v1")
        agent = loop.agent.model_copy(update={"model": ChatModel(model=ctx.model, base_url=base_url)})
        world, served = make_environment(loop.environment), Served(model=ctx.model, tag=None, version=None)
        browsers = self.config.browsers or address_of(loop.services.state_dir, BROWSER)
        model = OpenAIChat(agent, served, base_url=base_url, api_key=secret, tokens=False)
        async with world, BrowserPool(browsers) as pool, model as policy:
            setup = EpisodeSetup(policy, pool, world.serve, world.viewport, agent)
            slot = EpisodeKey(task, f"verifiers-{trace.id}"[:200], group=task.id, member=0, iteration=0)
            played = await play(slot, setup)
            trace.info[OURS] = await _result(world.check, played.trajectory)
        return ProgramResult(exit_code=0, stdout=played.trajectory.answer or "", stderr="")


async def _result(check: Any, trajectory: Trajectory) -> dict[str, Any]:
    failure = trajectory.failure
    if failure is not None and failure.side != "policy":
        raise SandboxError(f"{failure.side} {failure.code}: {failure.message}")
    verdict = await verdict_of(check, trajectory)
    if verdict.reward is None:
        raise SandboxError(f"no verdict: {verdict.evidence}")
    return {"reward": verdict.reward, "steps": len(trajectory.steps), "stop": trajectory.stop.value}
