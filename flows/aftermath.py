"""What a process that was lost leaves behind, put right by whoever finds out: a resume, the watching command, Prefect's worker.

Its flow run, subflows and tasks stay Running in Prefect, and its MLflow run stays RUNNING: both are told the truth here.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows import tracking
from flows.config import load_config
from flows.errors import LoopError
from flows.prefect_api import PrefectError, PrefectServer
from flows.run_folder import RunFolder
from flows.starting import begun_by

logger = logging.getLogger(__name__)


def settle(folder: RunFolder, server: PrefectServer, flow_run_id: str, *, status: str) -> None:
    """Nobody plays the run any more: say so in Prefect and, as `status` (FAILED or KILLED), in MLflow. Again is fine.

    What cannot be reached is left to the next resume, with a warning.
    """
    try:
        server.bury([*folder.record().prefect_flow_runs, flow_run_id])
    except PrefectError as error:
        logger.warning("%s; flow runs that stay Running are marked by the next resume", error)
    if folder.writer() is None:  # else somebody resumed it meanwhile
        tracking.sync(folder, status=status)


def folder_of(parameters: Mapping[str, Any], flow_run_id: str) -> RunFolder | None:
    """The run folder of a flow run, None if it never had one."""
    try:
        config = load_config(Path(parameters["config"]), parameters.get("overrides") or [])
        name = parameters.get("run") or begun_by(config.runs_dir, flow_run_id)
        return RunFolder.open(config.runs_dir / name) if name else None
    except (LoopError, KeyError):
        return None
