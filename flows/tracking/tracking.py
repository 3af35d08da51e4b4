"""MLflow: one run per loop, metrics by iteration, configuration, sample trajectories and the learning curve.

The run folder is the source of truth and MLflow a copy: only committed stages are logged, each once (a `logged.json`
beside done.json, and the metric's own history for a crash between the two), in the background. A server that is down
costs only a warning: missing logs are written at the next chance, by `rl-loop resume` of a finished run too.

    rollout/*    the policy in training (success_rate needs the verdicts, so it comes with the judge stage)
    evaluate/*   the same on held-out tasks      train/*   the update      time/*   seconds per stage and iteration

Only what people compare is a metric (`curated.py`); every number is in the tables (`tables.py`).
"""

import asyncio
import json
import logging
import time
from threading import Lock
from typing import TYPE_CHECKING

import httpx

from flows.services.health import trusted
from flows.services.services import address_of
from flows.services.specs import MLFLOW
from flows.settings.loop_config import flatten
from flows.settings.run_folder import RunFolder
from flows.tracking.background import Background
from flows.tracking.curated import shown
from flows.tracking.learning_signal import no_signal
from flows.tracking.logged import LOGGED, is_logged, note_status
from flows.tracking.origin import origin_tags
from flows.tracking.pages import PREFIX, log_samples, log_tags
from flows.tracking.pictures import draw_pictures, log_pictures
from flows.tracking.policies import model_of, version_of
from flows.tracking.tables import log_tables
from storage.atomic import write_atomically
from storage.errors import ServicesError
from storage.run_layout import DONE
from storage.stages import Stage, StageReport

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

EXPERIMENT = "rl-loop"
HEALTH_S = 2.0
"""Seconds that MLflow may take to answer its health check."""
CLOSE_S = 60.0
"""Seconds that the last logging may take when a loop ends."""
SHARE, MOST_PAUSE_S = 0.05, 30.0
"""The copy pauses after each call so that it takes this share of a core, but never for more seconds than these. It draws and
writes tables as a whole, which takes longer the longer a run is, and holds Python's lock."""
PARAMS_AT_ONCE = 100
"""The most that MLflow takes in a request."""


class Tracker:
    """Copies a run folder to MLflow, in the background of the loop. Owned by the holder of the folder's lock."""

    def __init__(self, folder: RunFolder, *, flow_run_id: str | None = None) -> None:
        self._folder = folder
        self._flow_run_id = flow_run_id
        self._writing = Lock()
        self._closed = False
        self._background = Background(self._log_now, name="mlflow")
        self._client: MlflowClient | None = None
        self._warned = self._logged = False

    def wake(self) -> None:
        """Requests logging after a commit. Returns at once."""
        self._background.wake()

    def flush(self, status: str) -> bool:
        """Log what is missing now and set the MLflow run's status. True if MLflow could be written."""
        self._logged = False
        self._log(status)
        return self._logged

    async def close(self, status: str) -> None:
        """Log what is missing and set the MLflow run's status (FINISHED, FAILED or KILLED), if MLflow answers."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._background.finish(drop=True)
                await asyncio.to_thread(self._log, status)
        except TimeoutError:
            logger.warning("MLflow took more than %.0f s; the rest is logged when the run is resumed", CLOSE_S)

    async def _log_now(self) -> float:
        return min(await asyncio.to_thread(self._log, None) / SHARE, MOST_PAUSE_S)

    def _log(self, status: str | None) -> float:
        """Log everything that is committed and not logged yet. Warns if MLflow is down. Returns its seconds of a core."""
        began = time.thread_time()
        with self._writing:  # a thread that a cancelled task has left may still be at it
            if status or not self._closed:
                self._closed = status is not None
                self._log_all(status)
        return time.thread_time() - began

    def _log_all(self, status: str | None) -> None:
        from mlflow.exceptions import MlflowException

        draw_pictures(self._folder)
        try:
            url = reachable(self._folder)
            client, run_id = self._open(url)
            for report in self._folder.reports():
                log_stage(client, run_id, self._folder, report)
            log_iterations(client, run_id, self._folder)
            log_tags(client, run_id, self._folder)
            log_pictures(client, run_id, self._folder)
            log_tables(client, run_id, self._folder)
            if status:
                client.set_terminated(run_id, status)
                note_status(self._folder, status)
            self._logged = True
        except (httpx.HTTPError, ServicesError, MlflowException) as error:
            if not self._warned or status:
                logger.warning("MLflow could not be written (%s); what is missing is logged at the next chance", error)
            self._warned = True

    def _open(self, url: str) -> "tuple[MlflowClient, str]":
        """The client and the loop's one MLflow run: the recorded one, else one found by its tag, else a new one."""
        record = self._folder.record()
        if self._client and record.mlflow_run_id:
            return self._client, record.mlflow_run_id
        client = connect(url)
        run_id = record.mlflow_run_id or find_run(client, self._folder) or create_run(client, self._folder)
        if record.mlflow_run_id != run_id or record.mlflow_uri != url:
            self._folder.save_record(record.model_copy(update={"mlflow_run_id": run_id, "mlflow_uri": url}))
        note_status(self._folder, "RUNNING")
        client.update_run(run_id, status="RUNNING")
        if self._flow_run_id:
            client.set_tag(run_id, "prefect.flow_run_id", self._flow_run_id)
        self._client = client
        return client, run_id


def sync(folder: RunFolder, *, status: str = "KILLED") -> bool:
    """Log the missing parts of a run that no process plays, and its end: FINISHED when all stages are, else `status`.

    True if MLflow has everything now; a server that is down is a warning.
    """
    wanted = "FINISHED" if folder.next_stage() is None else status
    return is_logged(folder, wanted) or Tracker(folder).flush(wanted)


def reachable(folder: RunFolder) -> str:
    """The address of an MLflow that answers. Raises `ServicesError`, or httpx.HTTPError when it does not."""
    url = address_of(folder.config.services.state_dir, MLFLOW)
    httpx.get(f"{url}/health", timeout=HEALTH_S, trust_env=False, verify=trusted()).raise_for_status()
    return url


def connect(url: str) -> "MlflowClient":
    """A client that gives up after one retry, not after four minutes."""
    from mlflow import MlflowClient
    from mlflow.environment_variables import (
        MLFLOW_HTTP_REQUEST_MAX_RETRIES,
        MLFLOW_HTTP_REQUEST_TIMEOUT,
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
    )

    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(1)
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(30)
    return MlflowClient(tracking_uri=url)


def loop_tag(folder: RunFolder) -> str:
    """A tag that distinguishes this loop from another of the same name. Example: `demo@2026-03-01T12:00:00+00:00`."""
    return f"{folder.name}@{folder.record().created}"


def find_run(client: "MlflowClient", folder: RunFolder) -> str | None:
    """The loop's MLflow run, if a crash came between its creation and the entry in run.json."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    found = client.search_runs([experiment.experiment_id], f"tags.loop = '{loop_tag(folder)}'", max_results=1)
    return found[0].info.run_id if found else None


def create_run(client: "MlflowClient", folder: RunFolder) -> str:
    """Creates an MLflow run with the configuration as parameters and as a file."""
    from mlflow.entities import Param

    experiment = client.get_experiment_by_name(EXPERIMENT)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
    tags = {"loop": loop_tag(folder), "config_sha256": folder.record().config_sha256, "run_folder": str(folder.root)}
    tags |= origin_tags(folder)
    if parent := folder.record().forked_from:
        tags["forked_from"] = parent
    run_id = client.create_run(experiment_id, run_name=folder.name, tags=tags).info.run_id
    settings = flatten(folder.config.model_dump(mode="json", exclude={"services"}))
    params = [Param(key, str(value)) for key, value in settings.items()]
    for first in range(0, len(params), PARAMS_AT_ONCE):
        client.log_batch(run_id, params=params[first : first + PARAMS_AT_ONCE])
    client.log_artifact(run_id, str(folder.config_file))
    return run_id


def metrics_of(report: StageReport) -> dict[str, float]:
    """The curated metrics of a stage by their names in MLflow."""
    prefix = PREFIX[report.stage]
    named = {f"{prefix}/{key}": value for key, value in shown(report).items()}
    if report.stage is Stage.POLICY_UPDATE:
        named[f"{prefix}/no_signal"] = float(no_signal(report) is not None)
    return named | {marker_metric(report.stage): report.seconds}


def marker_metric(stage: Stage) -> str:
    """The metric that every logged stage has; its history shows which stages were logged."""
    return f"time/{stage}_s"


def log_stage(client: "MlflowClient", run_id: str, folder: RunFolder, report: StageReport) -> bool:
    """Log a committed stage, unless it is logged already. True if it was logged now."""
    directory = folder.stage_dir(report.iteration, report.stage)
    if (directory / LOGGED).exists():
        return False
    model = model_of(client, run_id, folder, loop_tag(folder), version_of(folder, report))
    at = (report.iteration, ended_at(folder, report))
    log_once(client, run_id, metrics_of(report), marker=marker_metric(report.stage), at=at, model=model)
    if report.stage in (Stage.JUDGE, Stage.EVALUATE):
        log_samples(client, run_id, folder, report, loop_tag(folder))
    write_atomically(directory / LOGGED, json.dumps({"mlflow_run_id": run_id}).encode())
    return True


def log_iterations(client: "MlflowClient", run_id: str, folder: RunFolder) -> None:
    """Log the seconds of whole iterations, each once."""
    for iteration in range(folder.config.iterations + 1):
        path = folder.iteration_file(iteration)
        if path.exists() and not path.with_name(LOGGED).exists():
            metrics = {f"time/{key}": value for key, value in json.loads(path.read_text()).items()}
            ended = max(ended_at(folder, report) for report in folder.reports() if report.iteration == iteration)
            log_once(client, run_id, metrics, marker="time/iteration_s", at=(iteration, ended))
            write_atomically(path.with_name(LOGGED), json.dumps({"mlflow_run_id": run_id}).encode())


def ended_at(folder: RunFolder, report: StageReport) -> float:
    """When a stage ended, in seconds of the epoch; of a report without it (an earlier version's) when its file was written."""
    return (
        report.ended_at
        if report.finished_at
        else (folder.stage_dir(report.iteration, report.stage) / DONE).stat().st_mtime
    )


def log_once(
    client: "MlflowClient",
    run_id: str,
    metrics: dict[str, float],
    *,
    marker: str,
    at: tuple[int, float],
    model: str | None = None,
) -> None:
    """Log metrics in one request, unless `marker` has a value at this step: MLflow would keep both for ever.

    `at`: the step, and when it ended, in seconds of the epoch. The time is the same for whoever logs it, because MLflow keeps
    equal points once: the request of a process that was killed may arrive after the one of its successor.
    `model`: id of the logged model that they are about too.
    """
    from mlflow.entities import Metric

    step, ended = at
    if any(point.step == step for point in client.get_metric_history(run_id, marker)):
        return
    ended_ms = int(ended * 1000)
    client.log_batch(
        run_id, metrics=[Metric(key, value, ended_ms, step, model_id=model) for key, value in sorted(metrics.items())]
    )
