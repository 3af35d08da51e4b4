"""Trajectories per hour when rollouts go on while judging, update and publish run: `rollout.overlap`.

    python -m benchmarks.overlap [--seeds 0 1 2] [--iterations 12]
    python -m benchmarks.overlap --learning [--seeds 0 1 2] [--config configs/demo.yaml] [key=value ...]

The scheduler is the real one: plans, shard workers, pacing, carry-over, the run folder. On a virtual clock, so that hours
take seconds and every run is the same, episodes are walks over pages whose latency has heavy tails (Pareto, as in
benchmarks/slow_pages.py), and judge, update and publish are waits as long as the synchronous rollout, in equal parts of
a tenth, eight tenths and a tenth. Required: one_step and async keep at least 0.9 of what the longer of rollout and
judge + update + publish allows, at least 1.5 times sync, and no sample is older than the run allows.

`--learning` runs the real loop per mode and seed instead, and prints held-out success after equal updates.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.models.openai_chat import Served
from agent.types import StopReason, Trajectory
from benchmarks import virtual_clock
from benchmarks.learning import play as run_loop
from benchmarks.learning import rl_loop
from benchmarks.slow_pages import FEWEST_PAGES, LEAST_S, MOST_PAGES, MOST_S, SHAPE, SLOWEST_SITE
from browser_service.models import Viewport
from flows.settings.loop_config import parse_config
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import agent_of
from flows.tracking.summary import rows
from rollouts import player
from rollouts.pace import pace_of
from rollouts.plan import Why, assigned, planned_groups
from rollouts.shard_worker import ShardWorker
from rollouts.shared_bounds import SharedBounds
from rollouts.stage_files import StageFiles
from rollouts.stragglers import carries, carry_over, stage_pace, threshold_of, versions_of
from storage.stages import Stage
from storage.store import TrajectoryStore

MODES = ("sync", "one_step", "async")
GROUPS, MEMBERS, SLOTS = 8, 4, 8
TURN_S, OPEN_S = 0.4, 0.6
"""Seconds of a turn of the model, and of lease, site and first look."""
WARM_UP = 2
"""Iterations before the counted ones: the first rollout has no update beside it."""
PARTS = {"judge": 0.1, "update": 0.8, "publish": 0.1}


class Result(NamedTuple):
    """One run of one mode."""

    mode: str
    seed: int
    kept: int
    seconds: float
    rollout_s: float
    """Seconds of one rollout stage that nothing runs beside, without what it waited for."""
    update_s: float
    """Seconds of judge, update and publish."""
    oldest: int
    """Largest age of a sample, in versions."""

    @property
    def per_hour(self) -> float:
        """Kept trajectories per hour."""
        return 3600 * self.kept / self.seconds


class Walks:
    """Episodes as walks over slow pages; stands in for `agent.episodes.episode.play`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def play(self, slot: EpisodeKey, setup: EpisodeSetup, **given: Any) -> Played:
        """Waits for each page, and between two pages for the policy, if it is being published."""
        site = draw(f"{self._seed}/{slot.group}")
        pages = site.randint(FEWEST_PAGES, MOST_PAGES)
        factor = min(SLOWEST_SITE, site.paretovariate(SHAPE))
        page = draw(f"{self._seed}/{slot.trajectory_id}")
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(OPEN_S)
        for _ in range(pages):
            await given["watch"].may_go_on()
            await asyncio.sleep(TURN_S + min(MOST_S, LEAST_S * factor * page.paretovariate(SHAPE)))
        return Played(
            Trajectory(
                id=slot.trajectory_id,
                task=slot.task,
                goal="",
                group=slot.group,
                member=slot.member,
                iteration=slot.iteration,
                steps=(),
                stop=StopReason.DONE,
                policy_version=setup.policy_version,
                attempt=slot.attempt,
                seconds=asyncio.get_running_loop().time() - began,
            ),
            {},
        )


def draw(key: str) -> random.Random:
    """A generator of its own for each site and episode, so that all modes have the same pages."""
    return random.Random(key)


def run_of(mode: str, iterations: int, root: Path) -> RunFolder:
    """A new run: two episodes per slot and iteration, one shard, as in benchmarks/rollout.py."""
    data = {
        "name": mode.replace("_", "-"),
        "iterations": WARM_UP + iterations + 1,
        "runs_dir": str(root),
        "policy": {"model": "policies/tiny"},
        "environment": {"domains": ["click-test"]},
        "rollout": {
            "groups_per_iteration": GROUPS,
            "group_size": MEMBERS,
            "concurrency": SLOTS,
            "shards": 1,
            "overlap": mode,
        },
        "services": {"browser_slots": SLOTS},
    }
    config = parse_config(data, root=Path.cwd())
    return RunFolder.create(config.name, config)


def worker_of(folder: RunFolder) -> ShardWorker:
    """A shard worker without browsers and model."""
    return ShardWorker(
        folder.inputs,
        0,
        agent=agent_of(folder.config, Stage.ROLLOUT),
        environment=cast(Any, SimpleNamespace(name="walks", viewport=Viewport(), serve=None)),
        pool=cast(Any, None),
        policy=cast(Any, None),
        served=Served("walks", None, 0),
        bounds=SharedBounds(folder.config.rollout, 0),
    )


async def play(folder: RunFolder, seed: int, update_s: float) -> Result:
    """Plays all iterations; counts those after the warm-up, from the end of one update to the end of the last."""
    config, last = folder.config.rollout, folder.config.iterations
    clock = asyncio.get_running_loop().time
    worker = worker_of(folder)
    before, counted, stages = 0.0, 0, list[float]()
    oldest = 0
    for iteration in range(1, last):
        began = clock()
        files = files_of(folder, iteration)
        groups = assigned(planned_groups(folder.inputs, iteration, Stage.ROLLOUT), [1.0])[0]
        extends: tuple[Why, ...] = ("ahead", "replacement")
        pace = stage_pace(folder.inputs, iteration, groups)
        threshold = threshold_of(folder.inputs, iteration, Stage.ROLLOUT)
        lost = await worker.play(files, groups, threshold=threshold, extends=extends, pace=pace)
        assert lost is None and carries(folder.inputs, iteration)
        carry_over(folder.inputs, iteration, lambda number: worker.carry_to(files_of(folder, number)))
        stages.append(clock() - began)
        kept = list(TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT)))
        oldest = max(oldest, *(iteration - 1 - version for one in kept for version in versions_of(one)))
        if config.lag:
            following = planned_groups(folder.inputs, iteration + 1, Stage.ROLLOUT)
            pace = pace_of(config, following, iteration=iteration + 1, last=last, is_early=True)
            await worker.begin_early(files_of(folder, iteration + 1), following, extends=("ahead",), pace=pace)
        await asyncio.sleep((PARTS["judge"] + PARTS["update"]) * update_s)
        await worker.gate.hold(0)
        await asyncio.sleep(PARTS["publish"] * update_s)
        worker.serve(Served("walks", None, iteration))
        if iteration <= WARM_UP:
            before = clock()
        else:
            counted += len(kept)
    seconds = clock() - before
    await worker.stop()
    return Result(folder.config.rollout.overlap, seed, counted, seconds, fmean(stages[WARM_UP:]), update_s, oldest)


def files_of(folder: RunFolder, iteration: int) -> StageFiles:
    """The files of the only shard."""
    return StageFiles(folder, iteration, Stage.ROLLOUT, shard=0, slots=SLOTS)


def measure(mode: str, seed: int, iterations: int, update_s: float) -> Result:
    """Plays one run on a clock of its own."""
    with tempfile.TemporaryDirectory() as root:
        folder = run_of(mode, iterations, Path(root))
        before, player.play = player.play, cast(Any, Walks(seed).play)
        try:
            return virtual_clock.run(play(folder, seed, update_s))
        finally:
            player.play = before


def line(result: Result, sync: Result) -> str:
    """One row of the table, against what the longer of rollout and update allows."""
    bound = bound_of(sync)
    return (
        f"{result.mode:<9} seed {result.seed}  {result.kept:>5} kept  {result.per_hour:7.0f} /h  "
        f"{result.per_hour / sync.per_hour:5.2f} of sync  {result.per_hour / bound:5.2f} of the bound  "
        f"samples at most {result.oldest} versions old"
    )


def bound_of(sync: Result) -> float:
    """Trajectories per hour if the shorter of rollout and update cost nothing."""
    return 3600 * GROUPS * MEMBERS / max(sync.rollout_s, sync.update_s)


def throughput(seeds: list[int], iterations: int) -> bool:
    """Prints the table; returns True if all requirements hold."""
    holds = True
    for seed in seeds:
        rollout_s = measure("sync", seed, iterations, 0.0).rollout_s
        sync = measure("sync", seed, iterations, rollout_s)
        print(f"seed {seed}: rollout {rollout_s:.1f} s, judge + update + publish {rollout_s:.1f} s")
        print(line(sync, sync), flush=True)
        for mode, most in (("one_step", 1), ("async", 2)):
            found = measure(mode, seed, iterations, rollout_s)
            print(line(found, sync), flush=True)
            fast = found.per_hour >= 0.9 * bound_of(sync) and found.per_hour >= 1.5 * sync.per_hour
            holds = holds and fast and found.oldest <= most
    print(f"at least 0.9 of the bound and 1.5 of sync, no sample too old: {'ok' if holds else 'MISSED'}")
    return holds


def learning(config: Path, seeds: list[int], overrides: list[str]) -> bool:
    """Runs the loop per mode and seed, or reads a finished run; prints held-out success after equal updates."""
    after: dict[str, list[float]] = {mode: [] for mode in MODES}
    try:
        for seed in seeds:
            for mode in MODES:
                given = [*overrides, f"rollout.overlap={mode}", f"seed={seed}", f"update.seed={seed}"]
                folder = run_loop(config, given, name=f"overlap-{mode.replace('_', '-')}-{seed}")
                table = rows(folder)
                measured = [row.heldout_success for row in table if row.heldout_success is not None]
                after[mode].append(measured[-1])
                minutes = sum(sum(row.seconds.values()) for row in table) / 60
                print(f"{mode:<9} seed {seed}  held-out {measured[0]:.1%} -> {measured[-1]:.1%}  {minutes:.1f} min")
    finally:
        rl_loop("down", f"--config={config}")
    for mode, found in after.items():
        spread = f" ± {100 * stdev(found):.1f}" if len(found) > 1 else ""
        print(f"{mode:<9} {len(found)} seeds  held-out after {100 * fmean(found):.1f}{spread} %")
    return True


def main() -> int:
    """Returns 1 when a requirement was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--learning", action="store_true", help="run the real loop instead, per mode and seed")
    parser.add_argument("--config", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("overrides", nargs="*", help="key=value for --learning, as for `rl-loop run`")
    options = parser.parse_args()
    if options.learning:
        return 0 if learning(options.config, options.seeds, options.overrides) else 1
    return 0 if throughput(options.seeds, options.iterations) else 1


if __name__ == "__main__":
    sys.exit(main())
