"""Evaluation: rollout and judging on held-out tasks, the same tasks each time."""

import time

from flows.policy.publishing import policy_version
from flows.settings.run_folder import RunFolder
from flows.stages.judge import check_judged, judge_all, unjudged
from flows.stages.overlap import judging_meanwhile, overlapped
from flows.stages.rollout import PlayShards, collect, gather_shards
from rollouts.measures.stage_costs import wasted, written
from rollouts.shard_workers import ShardWorkers
from storage.stages import Stage, StageKey, StageReport
from storage.store import TrajectoryStore


async def evaluate_stage(
    folder: RunFolder, iteration: int, workers: ShardWorkers, play_shards: PlayShards = gather_shards
) -> StageReport:
    """Measure the policy after an iteration (0 = the first policy)."""
    began = time.monotonic()
    directory = folder.stage_dir(iteration, Stage.EVALUATE)
    version = policy_version(folder, iteration)
    async with judging_meanwhile(folder, iteration, Stage.EVALUATE):
        rounds, _ = await collect(folder, iteration, Stage.EVALUATE, workers, version=version, play_shards=play_shards)
    judged = await judge_all(folder, TrajectoryStore(directory), directory)
    check_judged(folder, StageKey(iteration, Stage.EVALUATE), judged)
    steps = sum(one.steps for one in judged.episodes)
    return folder.finish(
        StageReport(
            stage=Stage.EVALUATE,
            iteration=iteration,
            counts={
                "trajectories": len(judged.episodes),
                "failed": sum(one.failed_on is not None for one in judged.episodes),
                "unjudged": unjudged(judged.verdicts),
                "rounds": rounds,
            },
            metrics=judged.metrics()
            | overlapped(directory)
            | wasted(directory, judged.episodes)
            | written(directory, steps=steps),
            seconds=time.monotonic() - began,
        )
    )
