"""Trajectories per hour on sites that are sometimes slow: carry-over against `kill` and a step-synchronous loop.

    python -m benchmarks.rollout [--slots 8] [--iterations 8] [--groups 4] [--group-size 4]

All three have the same pages, the same scripted policy, the same real browsers and equal slots; sites and pages are
slow by heavy-tailed distributions (benchmarks/slow_pages.py). An iteration has two episodes per slot by default: with
more episodes, the wait for the last ones is a smaller part of the time. One iteration comes before those that are
counted: then as many episodes are running at the beginning of the measurement as at its end. Required:
carry-over at least 1.5 times `kill` and 2.5 times the step-synchronous loop; slots busy at least 90 % of the time while
work is queued; no wasted work with carry-over.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from agent.models.openai_chat import Served
from agent.types import Trajectory
from benchmarks.pool_parts import Service, running
from benchmarks.slow_pages import GoesOn, SlowPages
from browser_service.client import BrowserPool
from browser_service.models import ClickId, ObserveRequest, VisitPage
from flows.settings.loop_config import LoopConfig, parse_config
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import agent_of
from judging.opening import quick_judge
from rollouts.measures.stage_costs import wasted
from rollouts.measures.usage import Usage, read_usage
from rollouts.plan import assigned, planned_groups
from rollouts.shard_worker import ShardWorker
from rollouts.stage_files import StageFiles
from rollouts.stragglers import carries, carry_over, threshold_of
from storage.stages import Stage
from storage.store import TrajectoryStore

THRESHOLD, GRACE_S = 0.98, 9.0
"""WebGym's threshold, and half of the longest latency: its own two minutes are about half of its step deadline's sum."""
WARM_UP = 1
"""Iterations before the counted ones."""


class Result(NamedTuple):
    """Result of one way of playing."""

    way: str
    kept: int
    seconds: float
    usage: Usage
    wasted_share: float

    @property
    def per_hour(self) -> float:
        """Rate of stored trajectories that will be trained on."""
        return 3600 * self.kept / self.seconds


def configuration(options: argparse.Namespace, root: Path, stragglers: str) -> LoopConfig:
    """The demo's configuration with this benchmark's numbers; plus one iteration, so that the last is like others."""
    data = {
        "name": stragglers.replace("_", "-"),
        "iterations": WARM_UP + options.iterations + 1,
        "runs_dir": str(root / "runs"),
        "policy": {"model": "policies/tiny"},
        "environment": {"domains": ["click-test"]},
        "agent": {"prompt": "compact", "draw_marks": False},
        "rollout": {
            "groups_per_iteration": options.groups,
            "group_size": options.group_size,
            "concurrency": options.slots,
            "shards": 1,
            "stragglers": stragglers,
            "completion_threshold": THRESHOLD,
            "completion_grace_period": GRACE_S,
            "ahead": -(-options.slots // options.group_size) + 1 if stragglers == "carry_over" else 0,
            "reuse_contexts": True,
        },
        "services": {"browser_slots": options.slots},
    }
    return parse_config(data, root=Path.cwd())


async def play_stages(options: argparse.Namespace, root: Path, browsers: str, stragglers: str) -> Result:
    """Plays with the engine itself, iteration after iteration."""
    config = configuration(options, root, stragglers)
    folder = RunFolder.create(config.name, config)
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(SlowPages())
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
        stack.push_async_callback(rank.stop)

        async def carry(iteration: int) -> None:
            rank.carry_to(StageFiles(folder, iteration, Stage.ROLLOUT, shard=0, slots=options.slots))

        began, before = time.monotonic(), 0
        for iteration in range(1, WARM_UP + options.iterations + 1):
            files = StageFiles(folder, iteration, Stage.ROLLOUT, shard=0, slots=options.slots)
            groups = assigned(planned_groups(folder.inputs, iteration, Stage.ROLLOUT), [1.0])[0]
            threshold = threshold_of(folder.inputs, iteration, Stage.ROLLOUT)
            lost = await rank.play(files, groups, threshold=threshold, extends=("ahead",))
            assert lost is None, lost
            if carries(folder.inputs, iteration):
                await carry_over(folder.inputs, iteration, carry)
            if iteration == WARM_UP:
                began, before = time.monotonic(), len(kept(folder))
        seconds = time.monotonic() - began
        return summed(stragglers, folder, before, seconds)


def kept(folder: RunFolder) -> list[Trajectory]:
    """The complete stored trajectories of a run, with carried groups."""
    stages = (folder.stage_dir(iteration, Stage.ROLLOUT) for iteration in range(1, folder.config.iterations + 1))
    return [one for stage in stages for one in TrajectoryStore(stage) if one.failure is None]


def summed(way: str, folder: RunFolder, before: int, seconds: float) -> Result:
    """Result of the stages of a run; `before` trajectories were stored when the measurement began."""
    whole = kept(folder)
    usage, thrown_away_s = Usage(), 0.0
    for iteration in range(1, folder.config.iterations + 1):
        directory = folder.stage_dir(iteration, Stage.ROLLOUT)
        thrown_away_s += wasted(directory, [])["wasted_s"]
        usage = usage + read_usage(directory)
    wasted_share = thrown_away_s / (thrown_away_s + sum(one.seconds for one in whole))
    return Result(way, len(whole) - before, seconds, usage, wasted_share)


async def play_in_step(options: argparse.Namespace, root: Path, browsers: str) -> Result:
    """Plays step-synchronously: one episode per slot, all take a step, the slowest decides when the next begins."""
    config = configuration(options, root, "kill").model_copy(update={"name": "in-step"})
    folder = RunFolder.create(config.name, config)
    observe = ObserveRequest(screenshot=True, marks=True)
    played = 0
    async with SlowPages() as environment, BrowserPool(browsers) as pool:
        began = time.monotonic()
        for iteration in range(1, WARM_UP + options.iterations + 1):
            if iteration == WARM_UP + 1:
                began, played = time.monotonic(), 0
            slots = [
                slot
                for group in planned_groups(folder.inputs, iteration, Stage.ROLLOUT)
                for slot in group.slots(iteration)
            ]
            for first in range(0, len(slots), options.slots):
                batch = slots[first : first + options.slots]
                async with AsyncExitStack() as stack:
                    sites = [
                        await stack.enter_async_context(environment.serve(slot.task, trajectory_id=slot.trajectory_id))
                        for slot in batch
                    ]
                    leases = [
                        pool.lease(
                            owner=slot.trajectory_id, viewport=environment.viewport, reuse="x", sites=site.reach.sites
                        )
                        for slot, site in zip(batch, sites, strict=True)
                    ]
                    held = await asyncio.gather(*(stack.enter_async_context(lease) for lease in leases))
                    opened = (
                        one.step(VisitPage(url=site.start_url), observe) for one, site in zip(held, sites, strict=True)
                    )
                    await asyncio.gather(*opened)
                    for step in range(max(site.pages for site in sites)):
                        going = [one for one, site in zip(held, sites, strict=True) if step < site.pages]
                        await asyncio.gather(*(one.step(ClickId(id=1), observe) for one in going))
                    played += sum(site.is_over() for site in sites)
        return Result("step-synchronous", played, time.monotonic() - began, Usage(), 0.0)


async def measure(options: argparse.Namespace, root: Path, service: Service) -> list[Result]:
    """Measures all three, one after the other."""
    results = []
    for way in ("carry_over", "kill"):
        results.append(await play_stages(options, root, service.url, way))
        print(line(results[-1]), flush=True)
    results.append(await play_in_step(options, root, service.url))
    print(line(results[-1]), flush=True)
    return results


def line(result: Result) -> str:
    """One row of the table."""
    metrics = result.usage.metrics()
    busy = f"{metrics['slots_busy_while_queued']:7.1%}" if "slots_busy_while_queued" in metrics else "      -"
    idle = f"{metrics['slots_idle_share']:7.1%}" if "slots_idle_share" in metrics else "      -"
    return (
        f"{result.way:<17} {result.kept:>5} kept  {result.seconds:7.1f} s  {result.per_hour:8.0f} /h  "
        f"busy while queued {busy}  idle in all {idle}  wasted {result.wasted_share:6.1%}"
    )


def verdict(results: list[Result]) -> bool:
    """Prints each requirement with its number; returns True if all hold."""
    carry, kill, in_step = results
    busy = carry.usage.metrics().get("slots_busy_while_queued", 0.0)
    requirements = [
        ("carry-over against kill", carry.per_hour / kill.per_hour, 1.5),
        ("carry-over against step-synchronous", carry.per_hour / in_step.per_hour, 2.5),
        ("slots busy while work is queued", busy, 0.9),
        ("work that was not wasted with carry-over", 1 - carry.wasted_share, 1.0),
    ]
    for name, found, least in requirements:
        print(f"{name:<42} {found:5.2f}   required {least:.2f}   {'ok' if found >= least else 'MISSED'}")
    return all(found >= least for _, found, least in requirements)


def main() -> int:
    """Returns 1 when a requirement was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--groups", type=int, default=4, help="per iteration")
    parser.add_argument("--group-size", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root, running("up", "--slots", str(options.slots)) as service:
        return 0 if verdict(asyncio.run(measure(options, Path(root), service))) else 1


if __name__ == "__main__":
    sys.exit(main())
