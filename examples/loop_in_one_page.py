"""One iteration of the loop on one page: a rollout, its verdicts, a policy update, and the new policy served and proved.

    rl-loop up && python -m examples.loop_in_one_page [configs/demo.yaml] [key=value ...]

The flow does the same with what a long run needs besides: plans, retries, resuming, carry-over and tracking (flows/stages/loop.py).
"""

import asyncio
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.judging.verifier import Verifier
from agent.models.openai_chat import Served
from agent.models.opening import open_model
from browser_service.client import BrowserPool
from environments.catalogs import Draw
from environments.drawing import draw_tasks
from environments.history import TaskHistory
from environments.registry import make_environment
from flows.policy.ownership import policy_owned
from flows.policy.publishing import ensure_served
from flows.services.model_servers import socket_path
from flows.services.services import address_of
from flows.services.specs import BROWSER
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.loop import import_first_policy
from flows.stages.policy_update import run_update
from flows.starting.starting import new_folder
from storage.atomic import write_atomically
from storage.stages import Stage
from storage.store import TrajectoryStore
from storage.verdicts import VERDICTS
from training.learning.report import read_report


async def rollout(folder: RunFolder, served: Served) -> list[float]:
    """Plays groups of episodes of the same task, `rollout.concurrency` at a time, and judges them; returns their rewards."""
    config, size, state_dir = folder.config, folder.config.rollout.group_size, folder.config.services.state_dir
    draw = partial(draw_tasks, config.environment, Draw("train", iteration=1, seed=config.seed))
    tasks = draw(config.rollout.groups_per_iteration, history=TaskHistory(), now=datetime.now(UTC))
    slots = [EpisodeKey(task, f"{task.id}-m{m:02d}", task.id, m, iteration=1) for task in tasks for m in range(size)]
    store, free = TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)), asyncio.Semaphore(config.rollout.concurrency)
    model = open_model(
        config.agent, served=served, uds=socket_path(state_dir), solve=None, tokenizer=config.policy.model
    )
    pool = BrowserPool(address_of(state_dir, BROWSER))
    async with make_environment(config.environment) as site, pool, model as policy:
        world = EpisodeSetup(policy, pool, site.serve, site.viewport, config.agent, policy_version=served.version)

        async def episode(slot: EpisodeKey) -> None:
            async with free:
                store.write(*await play(slot, world))

        await asyncio.gather(*map(episode, slots))
        verdicts = [await Verifier(site.check).judge(trajectory) for trajectory in store]
    lines = "".join(f"{verdict.model_dump_json()}\n" for verdict in verdicts)
    judged = folder.stage_dir(1, Stage.JUDGE)
    judged.mkdir(parents=True)
    write_atomically(judged / VERDICTS, lines.encode())
    return [verdict.reward for verdict in verdicts if verdict.reward is not None]


async def main(config: Path, *overrides: str) -> None:
    """Runs the iteration and prints its result."""
    folder = new_folder(load_config(config, overrides), None)
    import_first_policy(folder)
    async with policy_owned(folder):
        rewards = await rollout(folder, await ensure_served(folder, version=0))
        await run_update(folder, 1)
        print(
            f"{len(rewards)} episodes, success {sum(rewards) / len(rewards):.0%}, {read_report(folder.update_report(1)).metrics}"
        )
        print(f"served and proved: {await ensure_served(folder, version=1)}; see {folder.root}")


if __name__ == "__main__":
    asyncio.run(main(Path((sys.argv[1:] or ["configs/demo.yaml"])[0]), *sys.argv[2:]))
