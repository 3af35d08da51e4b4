"""The flow: for each iteration rollout -> judge -> policy update and publish (-> evaluate), in Prefect.

    rl-loop ── task "stage" ── subflow "rollout" ── task "shard" ── subflow "play-shard"
            ── task "stage" ── subflow "judge"         (each shard starts a quarter of a second after the one before)
            ── ..

A subflow is always called from inside a task: Prefect matches direct subflow calls to those of an earlier attempt by their
order alone, so that a retry that skips finished work would get another iteration's result. The run folder decides which
stages are finished; such a stage is shown as `Skipped`, an update without signal as `NoSignal`. No result is cached, no
transaction opened, and no task made per episode.

Prefect reads the signatures below while the flow runs, so annotations must stay real objects here (no `__future__`).
"""

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Annotated, Any

from prefect import Flow, Task, flow, task
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run
from prefect.states import Completed, State
from pydantic import BaseModel, ConfigDict, Field

from flows.far_rank import play_elsewhere
from flows.far_shard import on_worker, server_url
from flows.far_update import train_on_worker
from flows.flow_log import log_with_ids
from flows.prefect_artifacts import run_shown
from flows.run_events import stage_failed, stage_finished
from flows.services.prefect_api import PrefectError, PrefectServer
from flows.services.processes import own_state_dir
from flows.services.work_pools import RANK
from flows.settings.identity import ITERATIONS
from flows.settings.run_folder import RunFolder
from flows.stages.loop import run_loop, run_stage
from flows.stages.policy_update import run_update
from flows.stages.rollout import ShardKey, play_shard
from flows.starting.aftermath import folder_of, settle
from flows.starting.cancelling import leaving_within
from flows.starting.starting import folder_for, nothing_to_do
from flows.tracking.learning_signal import no_signal
from rollouts.inputs import StageInputs
from rollouts.shard_workers import ShardWorkers
from storage.stages import Stage, StageKey, StageReport
from training.algorithms.presets import PresetName

logger = logging.getLogger(__name__)

AT_ONCE = 4
STAGGER_S = 0.25
"""Seconds between the starts of two shards, after the first `AT_ONCE`: SQLite answers 503 to many at once, and the client
then waits for seconds."""


def settle_lost(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook of Prefect's worker for a flow whose process is gone or was cancelled, and so could not report it itself."""
    identity = str(flow_run.id)
    folder = folder_of(flow_run.parameters, identity)
    if folder is not None:
        with PrefectServer(server_url()) as server:
            settle(folder, server, identity, status="KILLED")


def bury_earlier(folder: RunFolder, identity: str) -> None:
    """Mark flow runs of the run's earlier processes as crashed; the holder of the lock knows that they are gone."""
    try:
        with PrefectServer(server_url()) as server:
            server.bury(folder.record().prefect_flow_runs, alive=identity)
    except PrefectError as error:
        logger.warning("%s; flow runs of earlier processes may stay Running", error)


def asked_in_form(iterations: int | None, preset: PresetName | None) -> list[str]:
    """The fields of the form that stand for one setting each, as overrides."""
    asked = {ITERATIONS: iterations, "update.preset": preset}
    return [f"{key}={value}" for key, value in asked.items() if value is not None]


@flow(name="rl-loop", on_cancellation=[settle_lost], on_crashed=[settle_lost])
async def rl_loop(
    config: str = "configs/demo.yaml",
    overrides: list[str] = [],  # noqa: B006
    run: str | None = None,
    iterations: Annotated[int, Field(ge=1, le=100_000)] | None = None,
    preset: PresetName | None = None,
) -> str | State[Any]:
    """Train by a configuration, or continue a run where it stopped.

    Returns the run folder. Fails with one sentence when the configuration, the run folder or a service is at fault.

    Args:
        config: Configuration file of a new run, on the worker's machine; a run that exists has its own.
        overrides: Settings as key=value, for example rollout.group_size=8; they go before the file.
        run: Name of a run to continue, or of the new run; empty: a new run with a free name.
        iterations: Iterations of the run; more than a finished run has make it longer. Empty: as configured.
        preset: Published recipe of the policy update; empty: as configured.
    """
    overrides = [*overrides, *asked_in_form(iterations, preset)]
    log_with_ids()  # the lines of `flows` are also shown by Prefect (PREFECT_LOGGING_EXTRA_LOGGERS)
    identity = str(flow_run.id) if flow_run.id else None
    folder = folder_for(Path(config), overrides, run, flow_run_id=identity, state_dir=own_state_dir())
    was_finished = folder.next_stage() is None
    with leaving_within(), folder.lock():
        if identity:
            await asyncio.to_thread(bury_earlier, folder, identity)
        await loop_in_prefect(folder, identity)
    if was_finished:
        return Completed(name="NothingToDo", message=nothing_to_do(folder), data=str(folder.root))
    return str(folder.root)


async def loop_in_prefect(folder: RunFolder, identity: str | None) -> None:
    """Run every stage as a task; the run's artifact is written beside the next stage. The caller holds the lock."""
    async with run_shown(folder) as artifact:

        async def stage(folder: RunFolder, key: StageKey, workers: ShardWorkers) -> None:
            fresh = not folder.is_done(*key)
            await stage_in_prefect(folder, key, workers)
            if fresh:
                artifact.wake()

        await run_loop(folder, stage, flow_run_id=identity)


async def stage_in_prefect(folder: RunFolder, key: StageKey, workers: ShardWorkers) -> None:
    """Run one stage as a task with a subflow, unless the run folder has it as finished."""

    # A function of its own for each stage: the workers are objects of this process, and no parameters that Prefect stores.
    # Its own parameters tell the stages apart in Prefect.
    @task(name="stage", task_run_name=f"{key.iteration:04d} {key.stage}")
    async def run(iteration: int, name: str) -> State[Any] | None:
        key = StageKey(iteration, Stage(name))
        if folder.is_done(*key):
            return Completed(name="Skipped", message="finished before, according to the run folder")
        await subflow_of(folder, key.stage, workers)(str(folder.root), iteration)
        report = folder.report(*key)
        nothing = no_signal(report) if report else None
        return Completed(name="NoSignal", message=nothing) if nothing else None

    fresh = not folder.is_done(*key)
    try:
        await run(key.iteration, key.stage.value)
    except Exception as error:
        stage_failed(folder, key, error)
        raise
    if fresh and (report := folder.report(*key)):
        stage_finished(folder, key, report)


DESCRIPTIONS = {
    Stage.ROLLOUT: "Collect the training trajectories of an iteration.",
    Stage.JUDGE: "Judge the training trajectories of an iteration.",
    Stage.POLICY_UPDATE: "Train the next policy on the judged trajectories, publish it and prove that it is served.",
    Stage.EVALUATE: "Measure the policy on held-out tasks.",
}


def subflow_of(folder: RunFolder, stage: Stage, workers: ShardWorkers) -> Flow[..., Any]:
    """The subflow that runs a stage. Prefect gets its small report, never a trajectory.

    Its parameter `root` is for who reads Prefect's page; the folder is not read again.
    """

    named = stage.replace("_", "-"), f"{{iteration:04d}} {stage.replace('_', ' ')}"

    @flow(name=named[0], flow_run_name=named[1], description=DESCRIPTIONS[stage])
    async def run(root: str, iteration: int) -> dict[str, Any]:
        report = await stage_by_workers(folder, StageKey(iteration, stage), workers)
        return report.model_dump(mode="json")

    return run


async def stage_by_workers(folder: RunFolder, key: StageKey, workers: ShardWorkers) -> StageReport:
    """Run a stage; its shards are tasks of Prefect, and the update is made by the worker that the configuration names."""
    update = train_on_worker if folder.config.services.update_pool else run_update
    return await run_stage(folder, key, workers, shards_in_prefect, update)


async def shards_in_prefect(workers: ShardWorkers, inputs: StageInputs, keys: list[ShardKey]) -> list[str | None]:
    """Play the shards of one round as tasks, started one after the other."""

    async def one(number: int, key: ShardKey) -> str | None:
        await asyncio.sleep(max(0, number + 1 - AT_ONCE) * STAGGER_S)
        where = (rank_of if inputs.run.rollout.ranks == "workers" else shard_of)(workers, inputs)
        named = where.with_options(task_run_name=f"{where.name} {key.shard}, round {key.round}")
        return await named(ShardCall.of(inputs, key))

    tasks = [asyncio.create_task(one(number, key)) for number, key in enumerate(keys)]
    try:
        return await asyncio.gather(*tasks)
    finally:  # one that still waits for its turn must not start a rank after the stage has failed
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class ShardCall(BaseModel):
    """Arguments of a shard's task, as Prefect shows them: `ShardKey`, `Served`, run folder and browsers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    root: str
    """The run folder."""
    iteration: int
    stage: Stage
    shard: int
    round: int
    model: str
    tag: str | None
    version: int | None
    others: tuple[str, ...] = ()
    browsers: str
    """URL of the browser service."""

    @staticmethod
    def of(inputs: StageInputs, key: ShardKey) -> "ShardCall":
        """The call for a shard of a stage."""
        root = str(inputs.run.layout.root)
        return ShardCall(root=root, **key._asdict(), **inputs.served._asdict(), browsers=inputs.browsers)

    @property
    def key(self) -> ShardKey:
        """The shard that is played."""
        return ShardKey(self.iteration, self.stage, self.shard, self.round)


SHARD_RUN = "{call.iteration:04d} {call.stage}, shard {call.shard}, round {call.round}"


def shard_of(workers: ShardWorkers, inputs: StageInputs) -> Task[..., Any]:
    """The task that plays one shard in this process, as a subflow; returns the lost service, if any."""

    @flow(name="play-shard", flow_run_name=SHARD_RUN)
    async def play(call: ShardCall) -> str | None:
        return await play_shard(workers, inputs, call.key)

    @task(name="shard")
    async def shard(call: ShardCall) -> str | None:
        return await play(call)

    return shard


def rank_of(workers: ShardWorkers, inputs: StageInputs) -> Task[..., Any]:
    """The task that has a worker of the pool play one shard; returns the lost service, if any; a lost worker counts as one."""

    @task(name="rank")
    async def rank(call: ShardCall) -> str | None:
        async def process(name: str) -> str | None:
            layout = inputs.run.layout
            beats, loop = layout.rank_dir(call.shard) / name, layout.record().prefect_flow_runs[-1:]
            parameters = {"root": call.root, "shard": call.shard, "rank": name}
            try:
                return await on_worker(RANK, parameters, beats, loop=next(iter(loop), None))
            finally:
                shutil.rmtree(beats, ignore_errors=True)

        return await play_elsewhere(workers, inputs, call.key, process)

    return rank
