"""The work behind the commands, without printing: start services, start a loop, resume one."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.policy.ownership import policy_owned
from flows.policy.publishing import policy_version
from flows.services import services
from flows.services.automations import make_automations
from flows.services.prefect_api import FlowRun, PrefectServer
from flows.services.service_files import SupervisorStatus, read_status
from flows.services.specs import DASHBOARD, PREFECT, WORKER, needed_here, prefect_environment
from flows.services.stack import read_stack
from flows.services.work_pools import place_work
from flows.settings.checkout import DEPLOYMENTS_FILE, PROJECT, working_dir
from flows.settings.hints import on_run
from flows.settings.loop_config import LoopConfig
from flows.settings.parts import Only
from flows.settings.run_folder import RunFolder
from flows.stages.evaluate import evaluate_stage
from flows.stages.loop import import_first_policy
from flows.starting import preflight
from flows.starting.starting import resume_parameters
from flows.tracking.mirroring import mirrored
from flows.tracking.spans import traced_run, traced_stage
from flows.tracking.summary import CURVE
from flows.tracking.timeline import TIMELINE
from rollouts.shard_workers import ShardWorkers
from storage.errors import RunFolderError, ServicesError
from storage.names import checked_name, free_name
from storage.run_layout import is_run
from storage.stages import Stage, StageKey, StageReport

DEPLOY_S = 120.0
"""Seconds that `prefect deploy` may take."""

DEPLOYMENTS = ("rl-loop", "rollout", "judge", "update", "evaluate", "rejudge", "sft", "rank", "train", "recover")
"""Names of the deployments in prefect.yaml."""

STAY_LOOK_S = 2.0
"""Seconds between two looks at the supervisor by `up --stay`."""

Watch = Callable[[SupervisorStatus], None]


def bring_up(config: LoopConfig, watch: Watch | None = None) -> SupervisorStatus:
    """Start the services, or find them running, deploy the flow, and wait until all are ready.

    Raises a `LoopError` before anything starts when the machine lacks something. When a service does not get ready, the
    services that this call started are stopped again.
    """
    preflight.refuse_early(config)
    state = config.services.state_dir
    was_running = services.is_running(state)
    services.start(config, PROJECT)
    try:
        services.wait_ready(state, (PREFECT, WORKER), deadline_s=config.services.ready_s, watch=watch)
        if not was_running or not is_deployed(config):
            deploy(state)
        with prefect_server(config) as server:
            place_work(server, config.services, here=working_dir(), runs_dir=config.runs_dir)
            make_automations(server, config.services)
        names = needed_here(config.services)
        return services.wait_ready(state, names, deadline_s=config.serving.start_deadline_s, watch=watch)
    except BaseException:
        if not was_running:
            services.shut_down(state)
        raise


def bring_up_part(config: LoopConfig, only: Only, watch: Watch | None = None) -> SupervisorStatus:
    """Start the part `only` of the services on this machine, for loops on others. Raises as `bring_up` does."""
    preflight.refuse_part(config, only)
    state = config.services.state_dir
    was_running = services.is_running(state)
    services.start(config, PROJECT, only)
    try:
        names = needed_here(config.services, only)
        return services.wait_ready(state, names, deadline_s=config.serving.start_deadline_s, watch=watch)
    except BaseException:
        if not was_running:
            services.shut_down(state)
        raise


def stay_up(state_dir: Path) -> None:
    """Wait for SIGTERM or Ctrl+C, then stop the services. Raises `ServicesError` if their supervisor ends before."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    while not asked.wait(STAY_LOOK_S):
        if not services.is_running(state_dir):
            raise ServicesError(f"the supervisor of {state_dir} ended; see {state_dir / 'supervisor.log'}")
    services.shut_down(state_dir)


def is_deployed(config: LoopConfig) -> bool:
    """True if the server has every deployment of prefect.yaml."""
    with prefect_server(config) as server:
        return {deployment["name"] for deployment in server.deployments()} >= set(DEPLOYMENTS)


def deploy(state_dir: Path) -> None:
    """Register the deployments of prefect.yaml with the server. Raises `ServicesError` with the end of its output."""
    url = services.address_of(state_dir, PREFECT)
    environment = os.environ | prefect_environment(state_dir, url)
    command = [
        sys.executable,
        "-m",
        "prefect",
        "--no-prompt",
        "deploy",
        "--all",
        "--prefect-file",
        str(DEPLOYMENTS_FILE),
    ]
    try:
        done = subprocess.run(
            command, cwd=working_dir(), env=environment, capture_output=True, text=True, timeout=DEPLOY_S
        )
    except subprocess.TimeoutExpired:
        raise ServicesError(f"`prefect deploy --all` did not end within {DEPLOY_S:.0f} s") from None
    if done.returncode != 0:
        words = " ".join((done.stdout + done.stderr).split())
        raise ServicesError(f"`prefect deploy --all` failed: {words[-400:]}")
    with PrefectServer(url) as server:
        server.forbid_unknown_parameters()


@dataclass(frozen=True)
class Started:
    """A flow run that was requested."""

    run: str
    root: Path
    flow_run: FlowRun


def start_run(config_file: Path, overrides: list[str], config: LoopConfig, name: str | None) -> Started:
    """Request a new run from Prefect. Raises as `name_for` does."""
    chosen = name_for(config, name)
    parameters = {"config": str(config_file.absolute()), "overrides": overrides, "run": chosen}
    with prefect_server(config) as server:
        return Started(chosen, config.runs_dir / chosen, server.start(name=chosen, parameters=parameters))


def name_for(config: LoopConfig, name: str | None) -> str:
    """The name of a new run. Raises `RunNameError` for a bad one, `RunFolderError` if it is taken."""
    if name is None:
        return free_name(config.runs_dir, config.name)
    root = config.runs_dir / checked_name(name)
    if is_run(root):
        raise RunFolderError(f"run {name} exists already in {config.runs_dir}; {on_run('resume', root)} continues it")
    return name


def resume_run(folder: RunFolder, overrides: Sequence[str] = ()) -> Started:
    """Clean up a crash's remains in Prefect and request a flow run that continues the run with `overrides`.

    Raises `RunFolderError` while another process writes the folder.
    """
    checked_name(folder.name)
    with folder.lock():
        pass
    parameters = resume_parameters(folder, overrides)
    with prefect_server(folder.config) as server:
        server.bury(folder.record().prefect_flow_runs)
        return Started(folder.name, folder.root, server.start(name=folder.name, parameters=parameters))


def prefect_server(config: LoopConfig) -> PrefectServer:
    """The Prefect server that runs from the configuration's state directory."""
    return PrefectServer(services.address_of(config.services.state_dir, PREFECT))


def evaluate_now(folder: RunFolder) -> StageReport:
    """Measure the newest policy on the held-out tasks, in this process; an existing measurement is only read.

    Raises `RunFolderError` while the run is being written, `StageError` when services are lost.
    """
    with folder.lock():
        import_first_policy(folder)
        newest = policy_version(folder, folder.config.iterations)
        return folder.report(newest, Stage.EVALUATE) or asyncio.run(_evaluate_as_owner(folder, newest))


async def _evaluate_as_owner(folder: RunFolder, version: int) -> StageReport:
    """Evaluates while owning the served policy. Raises `PolicyOwned` beside a run that publishes."""
    with traced_run(folder), traced_stage(StageKey(version, Stage.EVALUATE)):
        async with policy_owned(folder), mirrored(folder), ShardWorkers(folder.inputs) as workers:
            return await evaluate_stage(folder, version, workers)


def links(folder: RunFolder, flow_run_id: str | None) -> dict[str, str]:
    """Links to further information: name -> address or path."""
    state, record = folder.config.services.state_dir, folder.record()
    found: dict[str, str] = {}
    if flow_run_id:
        found["Prefect"] = PrefectServer(services.address_of(state, PREFECT)).page(flow_run_id)
    if record.mlflow_run_id and record.mlflow_uri:
        found["MLflow"] = f"{record.mlflow_uri}/#/runs/{record.mlflow_run_id}"
    if address := dashboard_of(state, folder.root.parent):
        found["dashboard"] = f"{address}/#/run/{folder.name}"
    found["run folder"] = str(folder.root)
    if (folder.root / CURVE).exists():
        found["learning curve"] = str(folder.root / CURVE)
    if (folder.root / TIMELINE).exists():
        found["stages over time"] = str(folder.root / TIMELINE)
    return found


def dashboard_of(state_dir: Path, runs_dir: Path) -> str | None:
    """The address of the dashboard that `rl-loop up` keeps running over this folder of runs, if it is ready."""
    status = read_status(state_dir)
    if status is None or not status.supervisor.is_alive() or Path(read_stack(state_dir).runs_dir) != runs_dir:
        return None
    found = [one for one in status.services if one.name == DASHBOARD and one.state == "ready"]
    return found[0].address if found else None
