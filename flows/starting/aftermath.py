"""Cleanup after a lost process of a run: by a resume, the watching command, or Prefect's worker.

Its flow run, subflows and tasks stay Running in Prefect, and its MLflow run stays RUNNING: `settle` ends both.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.services.prefect_api import PrefectError, PrefectServer
from flows.services.processes import own_state_dir
from flows.settings.checkout import DEFAULT_CONFIG
from flows.settings.loop_config import keys_of, load_config
from flows.settings.run_folder import RunFolder
from flows.starting.starting import begun_by, named_or_newest, runs_dir_of
from flows.tracking import tracking
from storage.errors import LoopError

logger = logging.getLogger(__name__)


def settle(folder: RunFolder, server: PrefectServer, flow_run_id: str, *, status: str) -> None:
    """Mark the run as ended in Prefect and, with `status` (FAILED or KILLED), in MLflow. Idempotent.

    A flow run that was refused before it began to play the run says nothing about the run: MLflow is left as it is.
    A server that cannot be reached is left to the next resume, with a warning.
    """
    players = folder.record().prefect_flow_runs
    try:
        server.bury([*players, flow_run_id])
    except PrefectError as error:
        logger.warning("%s; flow runs that stay Running are marked by the next resume", error)
    is_last_player = players[-1:] == [flow_run_id]
    if is_last_player and folder.writer() is None:  # otherwise another process resumed the run meanwhile
        tracking.sync(folder, status=status)


def folder_of(parameters: Mapping[str, Any], flow_run_id: str) -> RunFolder | None:
    """The run folder of a flow run, None if it never had one."""
    try:
        if "config" not in parameters:  # a flow of a single stage
            return named_or_newest(runs_dir_of(own_state_dir()), parameters.get("run"))
        file, overrides = Path(parameters["config"]), parameters.get("overrides") or []
        if file == DEFAULT_CONFIG and "runs_dir" not in keys_of(overrides):  # as `folder_for` has it
            runs_dir = runs_dir_of(own_state_dir())
        else:
            runs_dir = load_config(file, overrides).runs_dir
        name = parameters.get("run") or begun_by(runs_dir, flow_run_id)
        return RunFolder.open(runs_dir / name) if name else None
    except LoopError:
        return None
