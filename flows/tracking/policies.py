"""The versions of a run's policy as MLflow logged models: by reference, with the metrics of the stages that they played in.

A model has the checkpoint's path and digest as tags and no files. A stage's metrics are logged once, for the run and for
the version that acted in it (rollout, judge, evaluate) or came of it (update), so that "the best policy" is a query.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from flows.settings.run_folder import RunFolder
from storage.stages import Stage, StageReport
from training.checkpointing.checkpoints import CheckpointError, checkpoint_path
from training.publishing.prepared_policy import manifest_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "policy"
"""Tag that identifies a version. Example: `demo@2026-03-01T12:00:00+00:00:3`."""


def version_of(folder: RunFolder, report: StageReport) -> int:
    """The version of the policy that a stage's numbers are about, by the reports of the updates before it.

    Not by the checkpoints that are there: some may be pruned already when MLflow was away for a while.
    """
    acts_before_update = report.stage in (Stage.ROLLOUT, Stage.JUDGE)
    newest = report.iteration - 1 if acts_before_update else report.iteration
    for iteration in range(newest, 0, -1):
        update = folder.report(iteration, Stage.POLICY_UPDATE)
        if update is not None and "version" in update.counts:
            return update.counts["version"]
    return 0


@lru_cache(maxsize=32)
def experiment_of(client: "MlflowClient", run_id: str) -> str:
    """The id of a run's experiment, asked for once."""
    return client.get_run(run_id).info.experiment_id


@lru_cache(maxsize=32)
def model_of(client: "MlflowClient", run_id: str, folder: RunFolder, loop: str, version: int) -> str:
    """The id of a version's model, which is created unless an earlier try did; asked for once, for a version acts in several
    stages. `loop`: the run's own tag."""
    experiment = experiment_of(client, run_id)
    key = f"{loop}:{version}"
    found = client.search_logged_models([experiment], filter_string=f"tags.{KEY} = '{key}'", max_results=1)
    model = found[0] if found else _created(client, run_id, experiment, folder, key, version)
    if str(model.status) != "READY":
        client.finalize_logged_model(model.model_id, "READY")
    return model.model_id


def _created(client: "MlflowClient", run_id: str, experiment: str, folder: RunFolder, key: str, version: int):
    checkpoint = checkpoint_path(folder.policies, version)
    tags = {KEY: key, "version": str(version), "checkpoint": str(checkpoint)}
    try:
        tags["manifest_sha256"] = manifest_digest(checkpoint)
    except CheckpointError:  # pruned since; its numbers are still worth comparing
        tags["pruned"] = "true"
    return client.create_logged_model(
        experiment, name=f"{folder.name}-v{version:04d}", source_run_id=run_id, tags=tags, model_type="policy"
    )
