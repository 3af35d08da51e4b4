"""The pictures of a run: the learning curve, the intervals of its stages, success by domain."""

import logging
from typing import TYPE_CHECKING

from flows.settings.run_folder import RunFolder
from flows.tracking.domains import HEATMAP, draw_domains
from flows.tracking.summary import CURVE, draw_learning_curve
from flows.tracking.timeline import TIMELINE, draw_timeline

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

PICTURES = (CURVE, TIMELINE, HEATMAP)
"""Files in the run folder. One without data is missing."""


def draw_pictures(folder: RunFolder) -> None:
    """Draws them all again. One that can't be drawn costs a warning, never the run."""
    try:
        draw_learning_curve(folder)
        draw_timeline(folder)
        draw_domains(folder.reports(), folder.root / HEATMAP)
    except Exception as error:  # of a library that gets texts of task files, or of a full disk
        logger.warning("%s: not every picture could be drawn: %s", folder.name, error)


def log_pictures(client: "MlflowClient", run_id: str, folder: RunFolder) -> None:
    """Logs the pictures that were drawn last."""
    for picture in (folder.root / name for name in PICTURES):
        if picture.exists():
            client.log_artifact(run_id, str(picture))
