"""Flows of single stages, each a deployment of its own: continue a run by its next stage, measure it, judge it again.

    prefect deployment run rollout -p run=demo        the next stage of `demo`, refused if that is another one
    prefect deployment run evaluate                   the newest policy of the newest run, once

The run folder decides what is next, so these flows, `rl-loop/rl-loop` and the command line can take turns on one run.
Prefect shows the parameters' descriptions below in its form. Annotations must stay real objects here (no `__future__`).
"""

import asyncio
import json
from contextlib import ExitStack
from typing import Annotated, Any, Literal

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, State
from pydantic import Field

from flows.far_shard import server_url
from flows.flow_log import log_with_ids
from flows.policy.ownership import policy_owned
from flows.policy.publishing import policy_version
from flows.policy.update_process import last_line, run_update_process
from flows.prefect_artifacts import show_run
from flows.rl_loop import bury_earlier, settle_lost, shards_in_prefect, stage_by_workers
from flows.services.prefect_api import PrefectServer
from flows.services.processes import own_state_dir
from flows.services.services import check_running
from flows.settings.checkout import DEFAULT_CONFIG, working_dir
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.evaluate import evaluate_stage
from flows.stages.loop import import_first_policy
from flows.stages.rejudge import judged_stages
from flows.stages.rejudge import rejudge as judge_again
from flows.stages.warm_start import Imitation, sft_command
from flows.starting.cancelling import leaving_within
from flows.starting.recovering import recover as recover_run
from flows.starting.starting import folder_for, named_or_newest, note_flow_run, nothing_to_do, runs_dir_of
from flows.tracking import tracking
from flows.tracking.mirroring import mirrored
from flows.tracking.spans import traced_run, traced_stage
from rollouts.shard_workers import ShardWorkers
from storage.errors import LoopError
from storage.stages import Stage, StageKey

DEPLOYMENT_OF = {
    Stage.ROLLOUT: "rollout",
    Stage.JUDGE: "judge",
    Stage.POLICY_UPDATE: "update",
    Stage.EVALUATE: "evaluate",
}
"""The deployment that runs each stage."""

Judge = Literal["verifier", "answer", "rubric", "panel"]
"""A judge that can be asked alone."""
RunName = Annotated[str, Field(examples=["demo"])]


class WrongStage(LoopError):
    """The next stage of the run is another one. The message is one sentence that names it."""


@flow(name="rollout", flow_run_name="rollout of {run}", on_cancellation=[settle_lost], on_crashed=[settle_lost])
async def rollout(run: RunName) -> State[Any] | dict[str, Any]:
    """Collect the training trajectories of a run's next iteration. Refused when another stage is next.

    Args:
        run: Name of the run, which must exist and stand before a rollout.
    """
    return await _next_stage(run, Stage.ROLLOUT)


@flow(name="judge", flow_run_name="judge {run}", on_cancellation=[settle_lost], on_crashed=[settle_lost])
async def judge(run: RunName) -> State[Any] | dict[str, Any]:
    """Judge the trajectories of a run's newest rollout. Refused when another stage is next.

    Args:
        run: Name of the run, whose newest rollout is finished and unjudged.
    """
    return await _next_stage(run, Stage.JUDGE)


@flow(name="update", flow_run_name="update of {run}", on_cancellation=[settle_lost], on_crashed=[settle_lost])
async def update(run: RunName) -> State[Any] | dict[str, Any]:
    """Train and publish the next policy of a run. Refused when another stage is next.

    Args:
        run: Name of the run, whose newest rollout is judged and not yet learned from.
    """
    return await _next_stage(run, Stage.POLICY_UPDATE)


def evaluation_name() -> str:
    """The name of an evaluation's flow run."""
    return f"evaluation of {(flow_run.parameters or {}).get('run') or 'the newest run'}"


@flow(name="evaluate", flow_run_name=evaluation_name, on_cancellation=[settle_lost], on_crashed=[settle_lost])
async def evaluate(run: RunName | None = None) -> State[Any] | dict[str, Any]:
    """Measure the newest policy of a run on its held-out tasks, unless it is measured already.

    Args:
        run: Name of the run; empty: the newest run, as a nightly evaluation wants it.
    """
    folder = _opened(run)
    with leaving_within(), folder.lock():
        await _begin(folder)
        newest = policy_version(folder, folder.config.iterations)
        if folder.is_done(newest, Stage.EVALUATE):
            return Completed(name="NothingToDo", message=f"policy v{newest:04d} of {folder.name} is measured already")
        with traced_run(folder), traced_stage(StageKey(newest, Stage.EVALUATE)):
            async with policy_owned(folder), mirrored(folder), ShardWorkers(folder.inputs) as workers:
                report = await evaluate_stage(folder, newest, workers, shards_in_prefect)
    await _shown(folder)
    return report.model_dump(mode="json")


@flow(name="rejudge", flow_run_name="judge {run} again")
async def rejudge(
    run: RunName,
    judge: Judge | None = None,
    name: str | None = None,
    iteration: Annotated[int, Field(ge=0)] | None = None,
    people: bool = True,
    overrides: list[str] = [],  # noqa: B006
) -> dict[str, Any]:
    """Judge a run's stored trajectories again, into a set of verdicts beside the first.

    Args:
        run: Name of the run.
        judge: Ask this judge alone; empty: the chain of the configuration.
        name: Name of the set of verdicts; empty: "again", or the judge's name.
        iteration: Judge one iteration only; empty: all that are judged.
        people: People's verdicts go first; without, the judges decide on everything.
        overrides: Settings of section judge as key=value, for example judge.concurrency=4.
    """
    folder = _opened(run)
    alone = [f"judge.chain={json.dumps([judge])}"] if judge else []
    config = load_config(folder.config_file, [*overrides, *alone]).judge
    log_with_ids()
    with traced_run(folder, "rejudge"):
        found = await judge_again(
            folder, config, name or judge or "again", judged_stages(folder, iteration), with_people=people
        )
    return {str(key): judged.metrics() for key, judged in found}


@flow(name="sft", flow_run_name="warm start from {run}")
async def sft(
    run: RunName,
    to: Annotated[str, Field(min_length=1, examples=["policies/warm"])],
    policy: str | None = None,
    best: Annotated[int, Field(ge=1)] = 1,
    epochs: Annotated[int, Field(ge=1)] = 1,
    learning_rate: Annotated[float, Field(gt=0)] = 1e-6,
    minibatches: Annotated[int, Field(ge=1)] = 16,
) -> str:
    """Fine-tune a policy on the best trajectories of a run, by imitation: a warm start for another run.

    Args:
        run: Name of the run, which must have a judged iteration.
        to: Folder to write, which must not exist; a relative path is below the project's root.
        policy: Folder to begin with; empty: the run's first policy.
        best: Successes of each task, the shortest first.
        epochs: Passes over their steps.
        learning_rate: Learning rate of AdamW.
        minibatches: Optimiser steps per pass.
    """
    folder, target = _opened(run), working_dir() / to
    begin = working_dir() / policy if policy else None
    settings = Imitation(best, epochs, learning_rate, minibatches)
    log = folder.logs / f"sft-{target.name}.log"
    with ExitStack() as stack, leaving_within():
        making = sft_command(folder, target, begin, settings)
        command = await asyncio.to_thread(lambda: stack.enter_context(making))  # it reads all that was played
        status = await run_update_process(command, log, deadline_s=folder.config.policy.update_deadline_s)
    if status is None:
        raise LoopError(f"the warm start did not end within policy.update_deadline_s; see {log}")
    if status != 0:
        raise LoopError(f"the warm start ended with status {status}: {last_line(log)} (see {log})")
    return str(target)


@flow(name="recover", flow_run_name="after a crash")
async def recover(resource: str) -> str:
    """End what a crashed run left in Prefect and MLflow, and start it again if services.resume_lost allows.

    Args:
        resource: The crashed flow run, its id or prefect.flow-run.ID. An automation starts this.
    """
    with PrefectServer(server_url()) as server:
        done = await asyncio.to_thread(recover_run, server, resource.removeprefix("prefect.flow-run."))
    get_run_logger().info("%s", done)
    return done


async def _next_stage(run: str, stage: Stage) -> State[Any] | dict[str, Any]:
    """Run the next stage of a run. Raises `WrongStage` if it is another one."""
    identity = _identity()
    named = named_or_newest(runs_dir_of(own_state_dir()), run)
    folder = folder_for(DEFAULT_CONFIG, [], named.name, flow_run_id=identity, state_dir=own_state_dir())
    with leaving_within(), folder.lock():
        await _begin(folder)
        key = folder.next_stage()
        if key is None:
            return Completed(name="NothingToDo", message=nothing_to_do(folder))
        _check_is(folder, key, stage)
        with traced_run(folder):
            async with policy_owned(folder), mirrored(folder), ShardWorkers(folder.inputs) as workers:
                report = await stage_by_workers(folder, key, workers)
    await _shown(folder)
    return report.model_dump(mode="json")


def _check_is(folder: RunFolder, key: StageKey, stage: Stage) -> None:
    if key.stage is not stage:
        raise WrongStage(
            f"run {folder.name}: the next stage is {key}, not a {stage.replace('_', ' ')}; start the deployment "
            f"{DEPLOYMENT_OF[key.stage]}, or rl-loop for all that is left"
        )


async def _begin(folder: RunFolder) -> None:
    """Checks the services, clears what lost processes left in Prefect, and makes version 0. The caller holds the lock."""
    log_with_ids()
    check_running(own_state_dir() or folder.config.services.state_dir)
    if identity := _identity():
        note_flow_run(folder, identity)
        await asyncio.to_thread(bury_earlier, folder, identity)
    import_first_policy(folder)


async def _shown(folder: RunFolder) -> None:
    """Brings MLflow and the artifact in Prefect up to date."""
    await asyncio.to_thread(tracking.sync, folder)
    await show_run(folder)


def _opened(run: str | None) -> RunFolder:
    return named_or_newest(runs_dir_of(own_state_dir()), run)


def _identity() -> str | None:
    return str(flow_run.id) if flow_run.id else None
