"""The policy update on another machine, by a worker of the pool that `services.update_pool` names.

    loop ── task "train" ── flow run of train/train ── worker of the pool ── python -m training.learning.update
                                                            │ writes
    run folder, the same path on both machines   <──────────┘ policies/v0004, update.json, log, heartbeat

The loop then publishes the version, as after an update of its own. Prefect reads the signatures below while the flow runs, so
annotations must stay real objects here (no `__future__`).
"""

import asyncio
import logging
from pathlib import Path

from prefect import flow, task
from prefect.states import Crashed, State

from flows.far_shard import on_worker
from flows.flow_log import log_with_ids
from flows.loop_tether import LoopGone, ending_with_loop
from flows.policy.update_process import last_line
from flows.policy.waiting import StageError
from flows.settings.run_folder import RunFolder
from flows.stages.policy_update import run_update
from flows.tracking.spans import traced_elsewhere
from storage.heartbeat import beating
from storage.stages import Stage, StageKey
from telemetry.propagation import traceparent

logger = logging.getLogger(__name__)

TRAIN = "train/train"
LOST = ("was lost", "ended as Crashed")
"""How the answers of `end_of` begin for an update that did not fail by itself."""
MOST_LOSSES = 3
"""Times that an update is lost with its worker before the stage fails."""


@flow(name="train", flow_run_name="update {iteration:04d}")
async def train(root: str, iteration: int, traceparent: str | None = None) -> State[None] | None:
    """Train one version of a run on a worker of the pool; a version that is complete already is only reported.

    Ends as Crashed when the loop is gone: nobody waits for it, or one that was cut off begins it again.
    """
    folder = RunFolder.open(Path(root))
    log_with_ids()
    key = StageKey(iteration, Stage.POLICY_UPDATE)
    traced = traced_elsewhere(folder, key, traceparent, service="rl-loop-train")
    with traced, beating(_beats(folder, iteration)):
        try:
            async with ending_with_loop(folder.root):
                await run_update(folder, iteration)
        except LoopGone as error:
            return Crashed(message=str(error))
    return None


async def train_on_worker(folder: RunFolder, iteration: int) -> None:
    """As `run_update`, on the machine of the worker that takes it; one that is lost with its worker is begun again.

    Raises `StageError` when it fails, is lost `MOST_LOSSES` times, or does not end within `policy.update_deadline_s`, in
    which the wait for a worker is counted.
    """
    deadline_s, pool = folder.config.policy.update_deadline_s, folder.config.services.update_pool
    failed: str | None = None
    for _ in range(MOST_LOSSES):
        try:
            async with asyncio.timeout(deadline_s):
                failed = await _on_worker(str(folder.root), iteration)
        except TimeoutError:
            raise StageError(
                f"the update of iteration {iteration} did not end within {deadline_s:g} s (policy.update_deadline_s); is a "
                f"worker of the pool {pool} running?"
            ) from None
        if failed is None:
            return
        if not failed.startswith(LOST):
            break
        logger.warning("the update of iteration %d %s; it is begun again", iteration, failed)
    log = folder.update_log(iteration)
    raise StageError(
        f"the update of iteration {iteration} {failed} in the pool {pool}: {last_line(log)} (see {log} and the worker's log)"
    )


@task(name="train")
async def _on_worker(root: str, iteration: int) -> str | None:
    """Runs the update on a worker. Returns how it failed, None if it is complete."""
    parameters = {"root": root, "iteration": iteration, "traceparent": traceparent()}
    return await on_worker(TRAIN, parameters, _beats(RunFolder.open(Path(root)), iteration))


def _beats(folder: RunFolder, iteration: int) -> Path:
    """The folder of the heartbeat of an update on a worker."""
    return folder.stage_dir(iteration, Stage.POLICY_UPDATE) / "rank-00"
