"""A run whose episodes, updates and publishes take no time: what is left is orchestration. For benchmarks/orchestration.py.

Plans, shard workers, store, judge stage, reports, Prefect's flows and the copy to MLflow are the real ones; the episode, the
update process and the server's reload are not.
"""

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.models.openai_chat import Served
from agent.types import Completion, Step, StopReason, Trajectory
from browser_service.models import ClickId, Observation, Viewport
from flows.services.ports import choose_ports
from flows.services.processes import marked, stop
from flows.services.service_files import SupervisorSpec, spec_file
from flows.services.services import address_of, wait_ready
from flows.services.specs import MLFLOW, PREFECT, prefect_environment, service_specs
from flows.settings.checkout import PROJECT
from flows.settings.loop_config import parse_config
from flows.settings.run_folder import RunFolder
from flows.stages import policy_update
from flows.stages import rollout as rollout_stage
from rollouts import player
from training.learning.report import UpdateReport, write_report

READY_S = 120.0
GROUP = 8
SAID = Completion(text="click(1)", prompt_token_ids=tuple(range(200)), token_ids=(5, 6, 7), logprobs=(-0.1, -0.2, -0.3))
PAGE = Observation(url="http://127.0.0.1/", title="page", viewport=Viewport(width=160, height=210))
STEPS = tuple(Step(index=index, observation=PAGE, completion=SAID, action=ClickId(id=1)) for index in range(2))


class Servers(NamedTuple):
    """Prefect and MLflow of a state directory, by their addresses."""

    state_dir: Path
    prefect: str
    mlflow: str


@contextmanager
def running_servers(home: Path) -> Generator[Servers]:
    """Starts both under the real supervisor, and stops them. This process's Prefect then talks to the one."""
    config = config_of(home, episodes=GROUP, iterations=1)
    state = config.services.state_dir
    state.mkdir(parents=True)
    specs = service_specs(config, choose_ports(config.services), PROJECT).services
    wanted = [one for one in specs if one.name in (PREFECT, MLFLOW)]
    spec_file(state).write_text(SupervisorSpec(working_dir=str(PROJECT), services=wanted).model_dump_json())
    with subprocess.Popen([sys.executable, "-m", "flows.services.supervisor", str(state)]) as supervisor:
        try:
            wait_ready(state, (), deadline_s=READY_S)
            servers = Servers(state, address_of(state, PREFECT), address_of(state, MLFLOW))
            os.environ |= prefect_environment(state, servers.prefect)
            # Here: Prefect reads its settings from the environment, and its plugins start an event loop.
            importlib.import_module("flows.rl_loop")
            yield servers
        finally:
            supervisor.terminate()
            supervisor.wait(30)
            stop(marked(state), term_s=0)


def config_of(home: Path, *, episodes: int, iterations: int) -> Any:
    """A configuration with so many episodes in an iteration, and no evaluation but the first and the last, of one task."""
    data = {
        "name": "instant",
        "iterations": iterations,
        "runs_dir": str(home / "runs"),
        "policy": {"model": "policies/tiny"},
        "environment": {
            "domains": ["click-test", "click-button", "click-link", "click-tab", "focus-text", "enter-text"]
        },
        "agent": {"prompt": "compact", "draw_marks": False},
        "rollout": {
            "groups_per_iteration": max(1, episodes // GROUP),
            "group_size": GROUP,
            "concurrency": 64,
            "shards": 2,
        },
        "evaluate": {"every": 10_000, "tasks": 8},
        "services": {
            "state_dir": str(home / "state"),
            "browser_slots": 64,
            **dict.fromkeys(("prefect_port", "worker_port", "mlflow_port", "browser_port", "dashboard_port"), 0),
        },
    }
    return parse_config(data, root=PROJECT)


def new_run(home: Path, name: str, *, episodes: int, iterations: int) -> RunFolder:
    """A run folder."""
    return RunFolder.create(name, config_of(home, episodes=episodes, iterations=iterations))


@asynccontextmanager
async def nothing_takes_time() -> AsyncGenerator[None]:
    """In the block an episode is two stored steps, an update is a report without a version, and nothing is published."""
    from flows import rl_loop

    before = player.play, rollout_stage.ensure_served, rollout_stage.ensure_browsers
    before_update = rl_loop.run_update, policy_update.ensure_served
    player.play = cast(Any, played_at_once)
    rollout_stage.ensure_served = policy_update.ensure_served = cast(Any, served_at_once)
    rollout_stage.ensure_browsers = cast(Any, no_browsers)
    rl_loop.run_update = cast(Any, updated_at_once)  # the name that the stage's task passes on
    try:
        yield
    finally:
        player.play, rollout_stage.ensure_served, rollout_stage.ensure_browsers = before
        rl_loop.run_update, policy_update.ensure_served = before_update


async def played_at_once(slot: EpisodeKey, setup: EpisodeSetup, **_: Any) -> Played:
    """An episode of two steps. Every second one succeeds, so that each group has a signal."""
    await asyncio.sleep(0)
    reward = float(slot.member % 2)
    return Played(
        Trajectory(
            id=slot.trajectory_id,
            task=slot.task,
            goal="Click ok.",
            group=slot.group,
            member=slot.member,
            iteration=slot.iteration,
            steps=STEPS,
            stop=StopReason.DONE,
            final_observation=PAGE,
            final_state={"done": True, "raw_reward": reward, "utterance": "Click ok."},
            policy_version=setup.policy_version,
            attempt=slot.attempt,
        ),
        {},
    )


async def served_at_once(folder: RunFolder, version: int, workers: Any = None) -> Served:
    """A policy that nobody asks for a turn."""
    served = Served("instant", None, version)
    if workers is not None:
        await workers.serve(served)
    return served


async def no_browsers(folder: RunFolder) -> str:
    """The address of a browser service that nobody asks for a lease."""
    return "http://127.0.0.1:9"


async def updated_at_once(folder: RunFolder, iteration: int) -> None:
    """A report of an update without signal, so that no version is made."""
    report = UpdateReport(version=iteration, parent=0, skipped="no group has a signal", metrics={"loss": 0.0})
    write_report(report, folder.update_report(iteration))
