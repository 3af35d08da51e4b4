"""Read access to the runs directory: checked names in, typed content out.

Every part of an address passes `RunsDir` before it becomes a path: the name must match its pattern and the
resolved path must lie in the runs directory. Nothing here writes.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agent.verdict import Verdict
from storage.packs import PACK
from storage.recordings.recorded import FILE as RECORDED
from storage.run_layout import RECORD, RunLayout
from storage.stages import Stage
from storage.store import TrajectoryStore
from storage.verdicts import VERDICTS, DuplicateVerdict, read_verdicts

M = TypeVar("M", bound=BaseModel)

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TRAJECTORY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
ITERATION = re.compile(r"[0-9]{1,6}")
SHA256 = re.compile(r"[0-9a-f]{64}")
VERDICTS_OF = {"rollout": "judge", "evaluate": "evaluate"}
"""The stages with trajectories, and the stage folder that has their verdicts."""


class NotFound(LookupError):
    """An item that is not in the runs directory. The message is one sentence and safe to show."""


class Damaged(ValueError):
    """A file that can't be read in its format. The message names the file below the runs directory."""


class RunsDir:
    """A directory of run folders."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def names(self) -> list[str]:
        """Names of the runs, newest first."""
        records = [(path.stat().st_mtime, path.parent.name) for path in self.root.glob(f"*/{RECORD}") if self.has(path)]
        return [name for _, name in sorted(records, reverse=True) if RUN_NAME.fullmatch(name)]

    def run(self, name: str) -> Path:
        """Folder of a run. Raises `NotFound`."""
        if not RUN_NAME.fullmatch(name) or not self.has(self.root / name / RECORD):
            raise NotFound("there is no run of this name; the list of runs shows those there are")
        return self.root / name

    def stage(self, run: str, iteration: str, stage: str) -> Path:
        """Folder of a stage that has trajectories. Raises `NotFound`."""
        folder = self.run(run)
        if stage not in VERDICTS_OF:
            raise NotFound(f"only the stages {' and '.join(VERDICTS_OF)} have trajectories")
        if not ITERATION.fullmatch(iteration):
            raise NotFound("an iteration is a number")
        found = RunLayout(folder).stage_dir(int(iteration), Stage(stage))
        if not found.is_dir() or not self.contains(found):
            raise NotFound(f"run {run} has no {stage} of iteration {int(iteration)} yet")
        return found

    def trajectory(self, stage_dir: Path, trajectory_id: str) -> Path:
        """The file that holds a complete trajectory: its own, or the stage's pack. Raises `NotFound`."""
        if TRAJECTORY_ID.fullmatch(trajectory_id):
            path = TrajectoryStore(stage_dir).file_of(trajectory_id)
            if self.has(path):
                return path
        raise NotFound("there is no complete trajectory of this id in this stage")

    def image(self, stage_dir: Path, sha256: str) -> bytes:
        """A picture's bytes. Raises `NotFound`, and `storage.store.CorruptTrajectory` if they don't match the hash."""
        if not SHA256.fullmatch(sha256):
            raise NotFound("a picture is named by the 64 hex digits of its sha256")
        store = TrajectoryStore(stage_dir)
        path = store.image_path(sha256)
        if not self.has(path) and not (store.has_image(sha256) and self.has(stage_dir / PACK)):
            raise NotFound("there is no picture with this hash in this stage")
        return store.image(sha256)

    def recorded(self, stage_dir: Path, trajectory_id: str, name: str) -> Path:
        """The file of a film or a trace. Raises `NotFound`."""
        if TRAJECTORY_ID.fullmatch(trajectory_id) and RECORDED.fullmatch(name):
            path = stage_dir / trajectory_id / name
            if self.has(path):
                return path
        raise NotFound("there is no such film or trace of this trajectory")

    def trajectory_ids(self, stage_dir: Path) -> list[str]:
        """Ids of a stage's complete trajectories, sorted."""
        store = TrajectoryStore(stage_dir)
        return [name for name in store.ids() if TRAJECTORY_ID.fullmatch(name) and self.has(store.file_of(name))]

    def verdicts(self, stage_dir: Path) -> dict[str, Verdict]:
        """The verdicts on a stage's trajectories by id; empty before they are judged. Raises `Damaged`."""
        path = stage_dir.parent / VERDICTS_OF[stage_dir.name] / VERDICTS
        if not self.has(path):
            return {}
        try:
            return _verdicts(path, path.stat().st_mtime_ns)
        except ValidationError as error:
            raise Damaged(f"{self.label(path)}: {first_problem(error)}") from error
        except DuplicateVerdict as error:
            raise Damaged(f"{self.label(path)}: two verdicts for one trajectory; keep one of them") from error

    def has(self, path: Path) -> bool:
        """True if this is a file in the runs directory."""
        return path.is_file() and self.contains(path)

    def contains(self, path: Path) -> bool:
        """True if a path is in the runs directory after following links."""
        return path.resolve().is_relative_to(self.root)

    def label(self, path: Path) -> str:
        """The path relative to the runs directory, as pages show it."""
        return path.relative_to(self.root).as_posix()

    def json(self, path: Path, model: type[M]) -> M | None:
        """A JSON file's content, None if there is no such file. Raises `Damaged`."""
        if not self.has(path):
            return None
        try:
            return model.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise Damaged(f"{self.label(path)}: {first_problem(error)}") from error


@lru_cache(maxsize=256)
def _verdicts(path: Path, changed: int) -> dict[str, Verdict]:
    """Cached by the time of the last change: a judge stage that runs again replaces the file as a whole."""
    return {verdict.trajectory_id: verdict for verdict in read_verdicts(path.parent)}


def first_problem(error: ValidationError) -> str:
    """The first problem of an error. Example: `metrics.loss: Input should be a valid number`."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
