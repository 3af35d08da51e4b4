"""The loop without Prefect: runs stage after stage until the run folder has them all finished.

`rl_loop.py` runs the same stages under Prefect; without its decorators it is the same program.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from flows.policy.ownership import policy_owned
from flows.policy.update_process import updates_kept_warm
from flows.settings.run_folder import RunFolder
from flows.stages.evaluate import evaluate_stage
from flows.stages.judge import judge_stage
from flows.stages.policy_update import RunUpdate, policy_update_stage, run_update
from flows.stages.rollout import PlayShards, gather_shards, rollout_stage
from flows.tracking.learning_signal import no_signal, warnings
from flows.tracking.mirroring import Mirror, mirrored
from flows.tracking.spans import traced_iteration, traced_run, traced_stage
from flows.tracking.tracking import Tracker
from rollouts.shard_workers import ShardWorkers
from storage.atomic import write_atomically
from storage.errors import LoopError
from storage.stages import Stage, StageKey, StageReport
from telemetry.log_format import start_log
from training.checkpointing.checkpoints import CheckpointError, import_policy

logger = logging.getLogger(__name__)

RunStage = Callable[[RunFolder, StageKey, ShardWorkers], Awaitable[None]]
"""Runs one stage, or finds it finished; the workers carry unfinished episodes from one rollout to the next."""


async def run_stage(
    folder: RunFolder,
    key: StageKey,
    workers: ShardWorkers,
    play_shards: PlayShards = gather_shards,
    update: RunUpdate = run_update,
) -> StageReport:
    """Run one unfinished stage. `play_shards` and `update` say where its work is done."""
    with traced_stage(key):
        logger.info("%s: %s begins", folder.name, key)
        match key.stage:
            case Stage.ROLLOUT:
                report = await rollout_stage(folder, key.iteration, workers, play_shards)
            case Stage.JUDGE:
                report = await judge_stage(folder, key.iteration)
            case Stage.POLICY_UPDATE:
                report = await policy_update_stage(folder, key.iteration, workers, update)
            case Stage.EVALUATE:
                report = await evaluate_stage(folder, key.iteration, workers, play_shards)
    logger.info("%s: %s took %.1f s", folder.name, key, report.seconds)
    if nothing := no_signal(report):
        logger.warning("%s: %s", key, nothing)
    return report


async def run_loop(folder: RunFolder, stage: RunStage, *, flow_run_id: str | None = None) -> None:
    """Run every stage of the schedule in order; `stage` runs one, or finds it finished. The caller holds the lock.

    Raises `PolicyOwned` before anything begins when another run owns the served policy.
    """
    with traced_run(folder):
        await _run_owned(folder, stage, flow_run_id)


async def _run_owned(folder: RunFolder, stage: RunStage, flow_run_id: str | None) -> None:
    async with policy_owned(folder):
        import_first_policy(folder)
        for warning in warnings(folder.config):
            logger.warning("%s: %s", folder.name, warning)
        # Before MLflow hears of this process: a run that another machine goes on with keeps the state that it has there.
        async with mirrored(folder) as mirror:
            tracker = Tracker(folder, flow_run_id=flow_run_id)
            try:
                async with updates_kept_warm(folder), ShardWorkers(folder.inputs) as workers:
                    await _every_stage(folder, stage, workers, (tracker, mirror))
            except BaseException as error:
                # A cancellation or a signal is no failure of the run.
                await tracker.close("FAILED" if isinstance(error, Exception) else "KILLED")
                raise
            await tracker.close("FINISHED")


async def _every_stage(
    folder: RunFolder, stage: RunStage, workers: ShardWorkers, copies: tuple[Tracker, Mirror]
) -> None:
    for iteration in range(folder.config.iterations + 1):
        keys = [key for key in folder.schedule() if key.iteration == iteration]
        fresh = not any(folder.is_done(*key) for key in keys)
        began = time.monotonic()
        with traced_iteration(iteration) if not all(folder.is_done(*key) for key in keys) else nullcontext():
            for key in keys:
                await stage(folder, key, workers)
                for copy in copies:
                    copy.wake()
        if fresh:
            write_iteration(folder, iteration, seconds=time.monotonic() - began)


async def run_alone(folder: RunFolder) -> None:
    """The whole loop in this process, without Prefect."""

    async def stage(folder: RunFolder, key: StageKey, workers: ShardWorkers) -> None:
        if not folder.is_done(*key):
            await run_stage(folder, key, workers)

    start_log(logging.WARNING)
    with folder.lock():
        await run_loop(folder, stage)


def import_first_policy(folder: RunFolder) -> None:
    """Make version 0 from `policy.model`, unless the run has it. Raises `LoopError` when that is no model directory."""
    try:
        import_policy(folder.config.policy.model, folder.policies)
    except CheckpointError as error:
        raise LoopError(str(error)) from error


def write_iteration(folder: RunFolder, iteration: int, *, seconds: float) -> None:
    """Record the duration of an iteration that ran in one go, and the share of it outside the stages' own work."""
    reports = [report for report in folder.reports() if report.iteration == iteration]
    work = sum(report.seconds for report in reports)
    metrics = {"iteration_s": seconds, "overhead_share": max(0.0, 1 - work / seconds)}
    write_atomically(folder.iteration_file(iteration), json.dumps(metrics).encode())
