"""The parts of a run in MLflow besides its metrics: tags and sample trajectories."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from flows.services.services import address_of
from flows.services.specs import DASHBOARD
from flows.settings.run_folder import RunFolder
from flows.tracking.learning_signal import no_signal, warnings
from flows.tracking.origin import task_set_tag
from flows.tracking.samples import choose_samples
from flows.tracking.traces import log_traces, samples
from storage.errors import ServicesError
from storage.sharing.html_file import trajectory_file
from storage.stages import Stage, StageReport
from storage.store import TrajectoryStore
from storage.verdicts import read_verdicts

if TYPE_CHECKING:
    from mlflow import MlflowClient

SAMPLES = 3
"""Trajectories per stage that are shown in MLflow; all of them are in the run folder."""
MOST_PICTURE_BYTES = 10_000_000
"""Of one of them."""
PREFIX = {Stage.ROLLOUT: "rollout", Stage.JUDGE: "rollout", Stage.POLICY_UPDATE: "train", Stage.EVALUATE: "evaluate"}


def log_samples(client: "MlflowClient", run_id: str, folder: RunFolder, report: StageReport, loop: str) -> None:
    """Logs sample trajectories with their verdicts: a trace, an HTML page and its JSON each. `loop`: the run's own tag."""
    played = Stage.EVALUATE if report.stage is Stage.EVALUATE else Stage.ROLLOUT
    episodes = folder.stage_dir(report.iteration, played)
    verdicts = {
        verdict.trajectory_id: verdict for verdict in read_verdicts(folder.stage_dir(report.iteration, report.stage))
    }
    store = TrajectoryStore(episodes)
    place = f"samples/{PREFIX[report.stage]}/{report.iteration:04d}"
    chosen = choose_samples(store, verdicts, SAMPLES)
    log_traces(client, run_id, loop, report, samples(episodes, folder.root, chosen, verdicts))
    for trajectory in chosen:
        page = trajectory_file(trajectory, verdicts.get(trajectory.id), store.image, most_bytes=MOST_PICTURE_BYTES)
        client.log_text(run_id, page.decode(), f"{place}/{trajectory.id}.html")
        client.log_text(run_id, trajectory.model_dump_json(), f"{place}/{trajectory.id}/trajectory.json")


def log_tags(client: "MlflowClient", run_id: str, folder: RunFolder) -> None:
    """Tags for readers of the table of runs: held-out tasks, warnings about the environment, iterations without signal, alarms."""
    for name, value in task_set_tag(folder).items():
        client.set_tag(run_id, name, value)
    for warning in warnings(folder.config):
        client.set_tag(run_id, "warning", warning)
    if page := dashboard_page(folder):
        client.set_tag(run_id, "dashboard", page)
    silent = [str(report.iteration) for report in folder.reports() if no_signal(report)]
    if silent:
        client.set_tag(run_id, "no_signal", f"iterations {', '.join(silent)}"[:5_000])
    alarms = [f"iteration {report.iteration}: {one}" for report in reversed(folder.reports()) for one in report.alarms]
    if alarms:
        client.set_tag(run_id, "alarms", "\n".join(alarms)[:5_000])  # the newest first: a long run's are cut off


def dashboard_page(folder: RunFolder) -> str:
    """Address of the run in the dashboard of its services; empty without one."""
    try:
        return f"{address_of(folder.config.services.state_dir, DASHBOARD)}/#/run/{quote(folder.name)}"
    except ServicesError:
        return ""
