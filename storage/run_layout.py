"""The layout of a run folder: where each file lies, how a stage is finished, who may write.

    runs/<name>/config.yaml              the resolved configuration; read by `flows`
               /run.json                 MLflow run, Prefect flow runs, created
               /lock                     held (flock) by the one process that may write
               /heartbeat.json           shows that the writer is alive (`heartbeat.py`)
               /policies/v0000 ..        checkpoints, made by `training`
               /iterations/0003/rollout/done.json    a StageReport, written last: it exists only when the stage is finished
               /ranks/01/order.json      orders to the process that plays shard 1 elsewhere, and its answers
               /logs/update-0003.log     output of an iteration's update
               /logs/update-warm.log     output of the process that is kept between updates

Only this module knows these names; a test refuses them elsewhere. Files within a stage's folder are named by the module of
`storage`, `rollouts` or `judging` that reads and writes them, files within a checkpoint by `training.checkpointing`.
The layout knows nothing of the configuration, so that each room can read a run without importing `flows`.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically
from storage.errors import RunFolderError
from storage.heartbeat import beating
from storage.lock import LOCK, holder_of, locked
from storage.stages import Stage, StageReport

CONFIG, RECORD, DONE = "config.yaml", "run.json", "done.json"
ITERATIONS, POLICIES, LOGS, RANKS = "iterations", "policies", "logs", "ranks"
UPDATE_REPORT, UPDATE_CONFIG = "update.json", "update_config.json"

M = TypeVar("M", bound=BaseModel)


class RunRecord(BaseModel):
    """Content of run.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    created: str
    config_sha256: str
    """Digest of everything in the configuration that decides results; see flows/settings/identity.py."""
    mlflow_run_id: str | None = None
    mlflow_uri: str | None = None
    prefect_flow_runs: list[str] = []
    forked_from: str | None = None
    """Run and iteration that this run was forked from. Example: `demo@3`."""


class RunLayout:
    """The folder of one run. Reading needs no lock; a writer holds `lock()`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """The run's name, which is the folder's name."""
        return self.root.name

    @property
    def config_file(self) -> Path:
        """The file with the resolved configuration."""
        return self.root / CONFIG

    @property
    def record_file(self) -> Path:
        """The file of the `RunRecord`. A folder with it is a run."""
        return self.root / RECORD

    @property
    def policies(self) -> Path:
        """The folder of the checkpoints."""
        return self.root / POLICIES

    @property
    def logs(self) -> Path:
        """The folder for output of subprocesses."""
        return self.root / LOGS

    def rank_dir(self, shard: int) -> Path:
        """The folder of the process that plays a shard elsewhere. Example: `ranks/01`."""
        return self.root / RANKS / f"{shard:02d}"

    @property
    def warm_log(self) -> Path:
        """Output of the process that is kept between updates."""
        return self.logs / "update-warm.log"

    def update_log(self, iteration: int) -> Path:
        """The file with the output of an iteration's update."""
        return self.logs / f"update-{iteration:04d}.log"

    def record(self) -> RunRecord:
        """The current content of run.json. Raises `RunFolderError` if it is damaged."""
        return _read_json(self.record_file, RunRecord, "restore it from a copy, or start a new run")

    def save_record(self, record: RunRecord) -> None:
        """Replace run.json."""
        write_atomically(self.record_file, record.model_dump_json(indent=1).encode())

    @contextmanager
    def lock(self) -> Generator[None]:
        """The right to write, until the context or the process ends.

        Raises `RunFolderError` naming the pid of the holder, or saying that the folder is not writable.
        """
        with locked(self.root), beating(self.root):
            yield

    def writer(self) -> int | None:
        """Pid of the process that holds the lock, None if none does. Needs no write permission."""
        return holder_of(self.root / LOCK)

    def iteration_dir(self, iteration: int) -> Path:
        """The folder of an iteration's stages. Example: `iterations/0003`."""
        return self.root / ITERATIONS / f"{iteration:04d}"

    def iteration_dirs(self) -> list[Path]:
        """The folders of all iterations so far, in their order."""
        return sorted((self.root / ITERATIONS).glob("*"))

    def stage_dir(self, iteration: int, stage: Stage) -> Path:
        """The folder that only this stage writes."""
        return self.iteration_dir(iteration) / stage

    def iteration_file(self, iteration: int) -> Path:
        """File with the seconds of an iteration that ran in one go: `{"iteration_s": 31.2, "overhead_share": 0.02}`."""
        return self.iteration_dir(iteration) / "iteration.json"

    def done_file(self, iteration: int, stage: Stage) -> Path:
        """The file of a stage's `StageReport`; it exists only when the stage is finished."""
        return self.stage_dir(iteration, stage) / DONE

    def update_report(self, iteration: int) -> Path:
        """The report that the process of an iteration's update writes."""
        return self.stage_dir(iteration, Stage.POLICY_UPDATE) / UPDATE_REPORT

    def update_config(self, iteration: int) -> Path:
        """The settings of an iteration's update, for its process."""
        return self.stage_dir(iteration, Stage.POLICY_UPDATE) / UPDATE_CONFIG

    def is_done(self, iteration: int, stage: Stage) -> bool:
        """True if the stage is finished."""
        return self.done_file(iteration, stage).exists()

    def report(self, iteration: int, stage: Stage) -> StageReport | None:
        """The report of a finished stage, None if unfinished. Raises `RunFolderError` if done.json is damaged.

        Not read again until the file changes: a long run's reports are asked for after every stage.
        """
        path = self.done_file(iteration, stage)
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RunFolderError(f"{path} cannot be read ({error.strerror or error})") from error
        return _report(path, (status.st_ino, status.st_mtime_ns, status.st_size))

    def finish(self, report: StageReport) -> StageReport:
        """Commit a stage: it never runs again. All its other files must be complete before."""
        stamped = report.model_copy(update={"finished_at": datetime.now(UTC).isoformat(timespec="milliseconds")})
        path = self.done_file(report.iteration, report.stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, stamped.model_dump_json(indent=1).encode())
        _sync(path.parent)
        return stamped


def is_run(root: Path) -> bool:
    """True if this is the folder of a run."""
    return RunLayout(root).record_file.exists()


@lru_cache(maxsize=10_000)
def _report(path: Path, stamp: tuple[int, int, int]) -> StageReport:
    """The report in a file, which `stamp` tells from the file's earlier contents."""
    return _read_json(path, StageReport, "delete it and resume: the stage is done again")


def _read_json(path: Path, model: type[M], cure: str) -> M:
    """Reads a small JSON file of a run. Raises `RunFolderError` if it is not valid; `cure` says what to do."""
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise RunFolderError(f"{path} is damaged: {where + ': ' if where else ''}{problem['msg']}; {cure}") from error
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read ({error.strerror or error}); {cure}") from error


def _sync(directory: Path) -> None:
    """Make the file names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
