"""Policy update and publish, in one stage so that a new policy is served within a second of being written.

The update is a subprocess, of its own or forked from one that is kept warm: its memory is freed at exit, a crash is an exit
code, and the logged command works by hand.
A complete checkpoint of this iteration's version means that the update was applied; `training.learning.update` then only reports
again.
"""

import asyncio
import logging
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from flows.policy.publishing import ensure_served, policy_version
from flows.policy.sleeping import servers_asleep
from flows.policy.update_process import last_line, run_update_process
from flows.policy.waiting import StageError
from flows.settings.run_folder import RunFolder
from flows.stages.learned_set import verdicts_to_learn
from flows.stages.retention import apply_retention
from flows.tracking.policies import version_of
from rollouts.shard_workers import ShardWorkers
from storage.atomic import write_atomically
from storage.progress import ProgressFile
from storage.stages import Stage, StageReport
from telemetry.spans import span
from training.checkpointing.checkpoints import checkpoint_path, prune, versions
from training.config import UpdateConfig
from training.learning.report import UpdateReport, read_report

logger = logging.getLogger(__name__)


RunUpdate = Callable[[RunFolder, int], Awaitable[None]]
"""Trains the version of an iteration, here (`run_update`) or on another machine. Raises `StageError` when that fails."""


async def policy_update_stage(
    folder: RunFolder, iteration: int, workers: ShardWorkers | None = None, update: RunUpdate | None = None
) -> StageReport:
    """Train version `iteration` from the newest version, publish it and prove that it is served.

    An iteration without learning signal makes no version; the policy stays unchanged.
    Raises `StageError` when the update fails or the publish cannot be proved.
    """
    began = time.monotonic()
    directory = folder.stage_dir(iteration, Stage.POLICY_UPDATE)
    progress = ProgressFile(directory)
    report_file = folder.update_report(iteration)
    # Also if a report exists: the version of an unfinished stage may be damaged, and is then made again.
    progress.say("training")
    async with servers_asleep(folder, workers or ShardWorkers(folder.inputs)):
        await (update or run_update)(folder, iteration)
    report = _read(report_file)
    for alarm in report.alarms:
        logger.warning("%s: iteration %d: alarm: %s", folder.name, iteration, alarm)
    trained = time.monotonic()
    progress.say("publishing")
    version = policy_version(folder, iteration)
    await ensure_served(folder, version, workers)
    metrics = {f"{key}": value for key, value in report.metrics.items()}
    metrics |= {"update_s": trained - began, "publish_s": time.monotonic() - trained}
    if report.checkpoint_written_at is not None and not report.reused:
        metrics["checkpoint_to_served_s"] = time.time() - report.checkpoint_written_at
    done = folder.finish(
        StageReport(
            stage=Stage.POLICY_UPDATE,
            iteration=iteration,
            counts={"version": version, "steps": report.steps, "alarms": len(report.alarms), **report.counts},
            metrics=metrics,
            histograms=report.histograms,
            alarms=report.alarms,
            seconds=time.monotonic() - began,
        )
    )
    prune(folder.policies, folder.config.update.keep_last, keep={0, version, *best_version(folder)})
    await asyncio.to_thread(apply_retention, folder, time.time())
    return done


def _read(path: Path) -> UpdateReport:
    try:
        return read_report(path)
    except ValueError as error:
        raise StageError(str(error)) from error


async def run_update(folder: RunFolder, iteration: int) -> None:
    """`python -m training.learning.update` for one iteration. Raises `StageError` with its last output line when it fails."""
    config = folder.update_config(iteration)
    config.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(config, folder.config.update.model_dump_json(indent=1).encode())
    command = update_command(folder, iteration)
    log = folder.update_log(iteration)
    logger.info("%s: iteration %d: %s", folder.name, iteration, shlex.join(command))
    with span("update", policy_version=iteration):
        status = await run_update_process(command, log, deadline_s=folder.config.policy.update_deadline_s)
        if status is None:
            raise StageError(
                f"the update of iteration {iteration} did not end within policy.update_deadline_s; see {log}"
            )
        if status != 0:
            raise StageError(
                f"the update of iteration {iteration} ended with status {status}: {last_line(log)} (see {log})"
            )


def best_version(folder: RunFolder) -> list[int]:
    """The version with the best held-out success so far among those that are still there, as a list of none or one.

    The reports tell which version an evaluation measured: by the checkpoints that are there, the score of a version that
    was pruned since, or that a fork did not get, would count for an older one.
    """
    there = set(versions(folder.policies))
    scores = [
        (report.metrics["success_rate"], version)
        for report in folder.reports()
        if report.stage is Stage.EVALUATE
        and "success_rate" in report.metrics
        and (version := version_of(folder, report)) in there
    ]
    return [max(scores)[1]] if scores else []


def update_command(folder: RunFolder, iteration: int) -> list[str]:
    """The command line of one update. Raises `StageError` if the iteration lacks the set of verdicts to learn from."""
    return [
        *start_of_command(folder.config.update, name=f"{folder.name}-{iteration}"),
        *("--trajectories", str(folder.stage_dir(iteration, Stage.ROLLOUT))),
        *("--verdicts", str(verdicts_to_learn(folder, iteration))),
        *("--policy", str(checkpoint_path(folder.policies, policy_version(folder, iteration - 1)))),
        *("--policies", str(folder.policies)),
        *("--version", str(iteration)),
        *("--config", str(folder.update_config(iteration))),
        *("--report", str(folder.update_report(iteration))),
        *replay_arguments(folder, iteration),
    ]


def start_of_command(update: UpdateConfig, *, name: str = "update") -> list[str]:
    """The command line of an update without its arguments: Python, or torchrun for several processes.

    `name` tells the updates apart whose machines meet at the same address.
    """
    module = ["-m", "training.learning.update"]
    if update.machines * update.processes == 1:
        return [sys.executable, *module]
    if update.machines == 1:
        # Without an address torchrun looks up this machine's name, and then listens for other machines.
        meeting = ["--standalone", "--local-addr", "127.0.0.1"]
    else:
        meeting = ["--nnodes", str(update.machines), "--rdzv-backend", "c10d"]
        meeting += ["--rdzv-endpoint", str(update.rendezvous), "--rdzv-id", name]
    torchrun = ["-m", "torch.distributed.run", *meeting, "--nproc-per-node", str(update.processes)]
    return [sys.executable, *torchrun, *module]


def replay_arguments(folder: RunFolder, iteration: int) -> Iterator[str]:
    """Arguments that name the earlier iterations of `update.replay_iterations` whose folders are still there."""
    for earlier in range(max(1, iteration - folder.config.update.replay_iterations), iteration):
        played = folder.stage_dir(earlier, Stage.ROLLOUT)
        if not played.is_dir() or not folder.stage_dir(earlier, Stage.JUDGE).is_dir():
            continue
        verdicts = verdicts_to_learn(folder, earlier)
        if verdicts.is_file():
            yield from ("--replay", str(played), str(verdicts))
