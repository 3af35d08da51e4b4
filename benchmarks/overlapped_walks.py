"""Runs of the real scheduler on a virtual clock, whose episodes, judging and updates are waits: for benchmarks/overlap.py.

Plans, shard workers, pacing, carry-over and the run folder are the real ones. An episode is a walk over pages whose latency
has heavy tails (Pareto, as in benchmarks/slow_pages.py), the same in all modes.
"""

import asyncio
import random
import tempfile
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.models.openai_chat import Served
from agent.types import StopReason, Trajectory
from benchmarks import virtual_clock
from benchmarks.slow_pages import FEWEST_PAGES, LEAST_S, MOST_PAGES, MOST_S, SHAPE, SLOWEST_SITE
from browser_service.models import Viewport
from flows.settings.loop_config import parse_config
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import agent_of
from flows.tracking.timeline import Span
from rollouts import player
from rollouts.measures.intervals import Interval, united
from rollouts.pace import pace_of
from rollouts.plan import Why, assigned, planned_groups
from rollouts.shard_worker import ShardWorker
from rollouts.shared_bounds import SharedBounds
from rollouts.stage_files import StageFiles
from rollouts.stragglers import carries, carry_over, stage_pace, threshold_of, versions_of
from storage.stages import Stage
from storage.store import TrajectoryStore

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
    spans: list[Span]

    @property
    def per_hour(self) -> float:
        """Kept trajectories per hour."""
        return 3600 * self.kept / self.seconds


class Walks:
    """Episodes as walks over slow pages; stands in for `agent.episodes.episode.play`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.played: dict[str, Interval] = {}
        """By trajectory id."""

    async def play(self, slot: EpisodeKey, setup: EpisodeSetup, **given: Any) -> Played:
        """Waits for each page, and between two pages for the policy, if it is being published."""
        site = drawn_for(f"{self._seed}/{slot.group}")
        pages = site.randint(FEWEST_PAGES, MOST_PAGES)
        factor = min(SLOWEST_SITE, site.paretovariate(SHAPE))
        page = drawn_for(f"{self._seed}/{slot.trajectory_id}")
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(OPEN_S)
        for _ in range(pages):
            await given["watch"].may_go_on()
            await asyncio.sleep(TURN_S + min(MOST_S, LEAST_S * factor * page.paretovariate(SHAPE)))
        ended = asyncio.get_running_loop().time()
        self.played[slot.trajectory_id] = Interval(trajectory_id=slot.trajectory_id, began=began, ended=ended)
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
                seconds=ended - began,
            ),
            {},
        )


def drawn_for(key: str) -> random.Random:
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


async def play(folder: RunFolder, seed: int, update_s: float, walks: Walks) -> Result:
    """Plays all iterations; counts those after the warm-up, from the end of one update to the end of the last."""
    config, last = folder.config.rollout, folder.config.iterations
    clock = asyncio.get_running_loop().time
    worker = worker_of(folder)
    before, counted, stages = 0.0, 0, list[float]()
    oldest, spans = 0, list[Span]()
    for iteration in range(1, last):
        began = clock()
        files = files_of(folder, iteration)
        groups = assigned(planned_groups(folder.inputs, iteration, Stage.ROLLOUT), [1.0])[0]
        extends: tuple[Why, ...] = ("ahead", "replacement")
        pace = stage_pace(folder.inputs, iteration, groups)
        threshold = threshold_of(folder.inputs, iteration, Stage.ROLLOUT)
        lost = await worker.play(files, groups, threshold=threshold, extends=extends, pace=pace)
        assert lost is None and carries(folder.inputs, iteration)

        async def carry(number: int) -> None:
            worker.carry_to(files_of(folder, number))

        await carry_over(folder.inputs, iteration, carry)
        stages.append(clock() - began)
        kept = list(TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT)))
        played = united(walks.played[one.id] for one in kept)
        spans += [Span(Stage.ROLLOUT, iteration, *span) for span in played]
        oldest = max(oldest, *(iteration - 1 - version for one in kept for version in versions_of(one)))
        if config.lag:
            following = planned_groups(folder.inputs, iteration + 1, Stage.ROLLOUT)
            pace = pace_of(config, following, iteration=iteration + 1, last=last, is_early=True)
            await worker.begin_early(files_of(folder, iteration + 1), following, extends=("ahead",), pace=pace)
        judged = clock() + PARTS["judge"] * update_s
        spans += [
            Span(Stage.JUDGE, iteration, clock(), judged),
            Span(Stage.POLICY_UPDATE, iteration, judged, clock() + update_s),
        ]
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
    rollout_s = fmean(stages[WARM_UP:])
    return Result(config.overlap, seed, counted, seconds, rollout_s, update_s, oldest, spans)


def files_of(folder: RunFolder, iteration: int) -> StageFiles:
    """The files of the only shard."""
    return StageFiles(folder, iteration, Stage.ROLLOUT, shard=0, slots=SLOTS)


def measure(mode: str, seed: int, iterations: int, update_s: float) -> Result:
    """Plays one run on a clock of its own."""
    with tempfile.TemporaryDirectory() as root:
        folder = run_of(mode, iterations, Path(root))
        walks = Walks(seed)
        before, player.play = player.play, cast(Any, walks.play)
        try:
            return virtual_clock.run(play(folder, seed, update_s, walks))
        finally:
            player.play = before
