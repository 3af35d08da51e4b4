"""The pictures of a run: the learning curve, the intervals of its stages, success by domain.

They are drawn beside the loop. Drawing takes a core for tenths of a second, more for a long run, and holds Python's lock:
so the next ones wait until the last ones took no more than `SHARE` of the time since.
"""

import time
from typing import TYPE_CHECKING

from flows.settings.run_folder import RunFolder
from flows.tracking.domains import HEATMAP, draw_domains
from flows.tracking.summary import CURVE, draw_learning_curve
from flows.tracking.timeline import TIMELINE, draw_timeline

if TYPE_CHECKING:
    from mlflow import MlflowClient

PICTURES = (CURVE, TIMELINE, HEATMAP)
"""Files in the run folder. One without data is missing."""
SHARE = 0.05
"""The most of the time that is spent on drawing, in [0, 1]."""


class Pictures:
    """Draws a run's pictures, not more often than is worth it. Owned by the holder of the folder's lock."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._next = 0.0
        """Earliest start of the next drawing, in seconds of the monotonic clock."""

    def draw(self, *, last: bool) -> bool:
        """Draw them all, unless it is too early for it; the `last` ones are always drawn. True if they were."""
        if time.monotonic() < self._next and not last:
            return False
        before = time.thread_time()
        draw_learning_curve(self._folder)
        draw_timeline(self._folder)
        draw_domains(self._folder.reports(), self._folder.root / HEATMAP)
        self._next = time.monotonic() + (time.thread_time() - before) / SHARE
        return True


def log_pictures(client: "MlflowClient", run_id: str, folder: RunFolder) -> None:
    """Logs the pictures that were drawn last."""
    for picture in (folder.root / name for name in PICTURES):
        if picture.exists():
            client.log_artifact(run_id, str(picture))
