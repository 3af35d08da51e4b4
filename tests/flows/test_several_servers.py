"""Episodes are spread over the servers of a policy, and each stays with one, however many turns it has."""

import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from loop_configs import WriteConfig
from real_services import supervised
from stand_in_model import StandInModel, running_model

from agent.config import AgentConfig
from agent.failures import EpisodeFailure
from agent.models.openai_chat import Served
from agent.models.opening import open_model
from agent.types import Policy, Task
from browser_service.models import Observation, Viewport
from flows.services.model_servers import model_servers
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.rollout import rollout_stage
from rollouts.shard_workers import ShardWorkers
from storage.stages import Stage
from storage.store import TrajectoryStore
from training.checkpointing.checkpoints import import_policy

SERVED = Served("policy-0", "run:1", 1, ("policy-1", "policy-2"))
SEEN = Observation(url="https://site.example/", title="", viewport=Viewport(width=160, height=210))


@pytest.fixture
def models(tmp_path: Path) -> Generator[list[StandInModel]]:
    with ExitStack() as stack:
        found = [stack.enter_context(running_model(tmp_path / f"{number}.sock")) for number in range(3)]
        for number, one in enumerate(found):
            one.model, one.version = f"policy-{number}", "run:1"
        yield found


def opened(tmp_path: Path):
    sockets = [tmp_path / f"{number}.sock" for number in range(3)]
    return open_model(AgentConfig(screenshot=False), served=SERVED, uds=sockets[0], others=sockets[1:], solve=None)


async def turns(policy: Policy, count: int) -> None:
    task = Task(id="t", goal="click ok", environment="e", start_url="https://site.example/")
    for _ in range(count):
        await policy.act(task, task.goal, [], SEEN, {})
        await asyncio.sleep(0.02)


async def test_episodes_are_spread_evenly_and_stay_with_their_server(
    models: list[StandInModel], tmp_path: Path
) -> None:
    async with opened(tmp_path) as policy:
        await asyncio.gather(*(asyncio.create_task(turns(policy, 5), name=f"e{number}") for number in range(6)))

        assert [one.completions for one in models] == [10, 10, 10]


async def test_the_attempt_after_a_failure_may_go_to_another_server(models: list[StandInModel], tmp_path: Path) -> None:
    async with opened(tmp_path) as policy:
        for one in models:
            one.status = 400
        for _ in range(3):
            with pytest.raises(EpisodeFailure):
                await turns(policy, 1)
        first = [one.completions for one in models]
        for one in models:
            one.status = 200
        await turns(policy, 2)
    assert sum(first) == 3 and sum(one.completions for one in models) == 5


@pytest.mark.browser
@pytest.mark.chaos
async def test_a_rollout_uses_every_server_and_each_turn_is_proved(write_config: WriteConfig, browsers: str) -> None:
    models = {"models": ["http://a:1", "http://b:1"]}
    config = load_config(
        write_config(services=models), ["environment.domains=[click-test]", "rollout.groups_per_iteration=4"]
    )
    folder = RunFolder.create("small", config)
    import_policy(config.policy.model, folder.policies)
    supervised(config, browsers)
    with ExitStack() as stack:
        servers = [stack.enter_context(running_model(one.socket)) for one in model_servers(config.services)]
        servers[1].model = "policy-2"
        report = await rollout_stage(folder, 1, ShardWorkers(folder.inputs))

    assert report.counts["trajectories"] == 8 and report.counts["failed"] == 0
    assert all(one.published == ["unproved small:0", "small:0"] and one.completions >= 2 for one in servers)
    trajectories = list(TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)))
    assert {one.policy_version for one in trajectories} == {0}
