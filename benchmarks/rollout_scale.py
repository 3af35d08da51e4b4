"""Memory and disk use of rollouts, and deadlines with many episodes at once.

    python -m benchmarks.rollout_scale [--episodes 5000] [--at-once 64]

Real Chromium, scripted policy. Required: at most 0.3 MB written per step at 1280x720; this process's resident memory at the
last episode within 5 % of that at the 200th (with 5,000 episodes); 64 episodes at the same time on 2 cores without a missed
deadline.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from agent.models.openai_chat import Served
from benchmarks.pool_parts import MB, running
from benchmarks.slow_pages import GoesOn, SlowPages
from browser_service.client import BrowserPool
from browser_service.models import Viewport
from flows.settings.loop_config import parse_config
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import agent_of
from judging.opening import quick_judge
from rollouts.measures.stage_costs import written
from rollouts.plan import planned_groups
from rollouts.shard_worker import ShardWorker
from rollouts.stage_files import StageFiles
from storage.failed_attempts import FAILURES, read_failures
from storage.stages import Stage

WARM_EPISODES = 200
GROWTH_LIMIT, MB_PER_STEP = 0.05, 0.3
GROUP = 4
CONTENT = (
    "<style>body{font:15px sans-serif;background:linear-gradient(120deg,#fde,#def 40%,#efd)} td{border:1px solid #aaa;padding:3px}</style>"
    + "<table>"
    + "".join(
        f"<tr>{''.join(f'<td>offer {row * 9 + column}: {row * column + 7} EUR, {column} left</td>' for column in range(9))}</tr>"
        for row in range(24)
    )
    + "</table>"
)
"""A page full of text and colour, like a shop's."""


class Played:
    """Result of one played stage."""

    def __init__(self, folder: RunFolder, seconds: float, memory: list[tuple[int, float]]) -> None:
        directory = folder.stage_dir(1, Stage.ROLLOUT)
        store = StageFiles(folder, 1, Stage.ROLLOUT, shard=0, slots=1).store
        self.seconds, self.memory = seconds, memory
        self.episodes = self.steps = 0
        for trajectory in store:
            self.episodes += trajectory.failure is None
            self.steps += len(trajectory.steps)
        self.failures = [failed.failure.code for failed in read_failures(directory / FAILURES)]
        self.mb_per_step = written(directory, steps=self.steps)["bytes_per_step"] / MB


async def play(root: Path, browsers: str, name: str, *, episodes: int, at_once: int, environment: SlowPages) -> Played:
    """Plays one stage of so many episodes, and records this process's memory meanwhile."""
    data = {
        "name": name,
        "iterations": 1,
        "runs_dir": str(root / "runs"),
        "policy": {"model": "policies/tiny"},
        # Only the tasks' seeds matter here; a family has a thousand.
        "environment": {
            "domains": ["click-test", "click-button", "click-link", "click-tab", "focus-text", "enter-text"]
        },
        "agent": {"prompt": "compact", "draw_marks": False},
        "rollout": {
            "groups_per_iteration": -(-episodes // GROUP),
            "group_size": GROUP,
            "concurrency": at_once,
            "shards": 1,
            "reuse_contexts": True,
        },
        "services": {"browser_slots": at_once},
    }
    config = parse_config(data, root=Path.cwd())
    folder = RunFolder.create(name, config)
    memory: list[tuple[int, float]] = []
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(environment)
        pool = await stack.enter_async_context(BrowserPool(browsers))
        served = Served(model="scripted", tag=None, version=None)
        agent = agent_of(config, Stage.ROLLOUT)
        rank = ShardWorker(
            folder.inputs,
            0,
            agent=agent,
            environment=environment,
            pool=pool,
            policy=GoesOn(),
            served=served,
            judge=quick_judge(config.judge, environment.check),
        )
        files = StageFiles(folder, 1, Stage.ROLLOUT, shard=0, slots=at_once)
        watching = asyncio.create_task(watch(files, memory))
        began = time.monotonic()
        lost = await rank.play(files, planned_groups(folder.inputs, 1, Stage.ROLLOUT), threshold=1.0)
        seconds = time.monotonic() - began
        watching.cancel()
        assert lost is None, lost
        memory.append((files.progress.now.done, resident_mb()))
    return Played(folder, seconds, memory)


async def watch(files: StageFiles, memory: list[tuple[int, float]]) -> None:
    """Records the resident memory at every 200th episode."""
    while True:
        await asyncio.sleep(0.2)
        done = files.progress.now.done
        if done >= WARM_EPISODES * (len(memory) + 1):
            memory.append((done, resident_mb()))
            print(f"  {done:>5} episodes  {memory[-1][1]:7.1f} MB", flush=True)


def resident_mb() -> float:
    """Resident memory of this process in MB: scheduler, client, store, page server."""
    return psutil.Process().memory_info().rss / MB


def main() -> int:
    """Returns 1 when a requirement was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=5_000)
    parser.add_argument("--at-once", type=int, default=64)
    options = parser.parse_args()
    held: list[bool] = []

    def require(what: str, found: float, most: float) -> None:
        held.append(found <= most)
        print(f"{what:<52} {found:8.3f}   at most {most:.3f}   {'ok' if held[-1] else 'MISSED'}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with running("up", "--slots", "4") as service:
            pages = SlowPages(Viewport(width=1280, height=720), CONTENT, slow=False)
            large = asyncio.run(play(root, service.url, "large", episodes=16, at_once=4, environment=pages))
            require("MB written per step at 1280x720", large.mb_per_step, MB_PER_STEP)
        with running("up", "--slots", str(options.at_once)) as service:
            many = asyncio.run(
                play(
                    root,
                    service.url,
                    "many",
                    episodes=2 * options.at_once,
                    at_once=options.at_once,
                    environment=SlowPages(),
                )
            )
            print(
                f"{many.episodes} episodes, {options.at_once} at once: {many.seconds:.1f} s, {many.steps} steps",
                flush=True,
            )
            require("attempts that broke or missed a deadline", len(many.failures), 0)
        with running("up", "--slots", "8") as service:
            pages = SlowPages(slow=False)
            long = asyncio.run(play(root, service.url, "long", episodes=options.episodes, at_once=8, environment=pages))
            print(f"{long.episodes} episodes in {long.seconds:.0f} s, {len(long.failures)} attempts broke", flush=True)
            first, last = long.memory[0][1], long.memory[-1][1]
            require(f"growth of resident memory, {first:.0f} -> {last:.0f} MB", last / first - 1, GROWTH_LIMIT)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
