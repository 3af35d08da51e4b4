"""The run folder is the source of truth about a loop: finished stages, the next stage, the writer.

    runs/<name>/config.yaml              the resolved configuration
               /run.json                 MLflow run, Prefect flow runs, created
               /lock                     held (flock) by the one process that may write
               /heartbeat.json           shows that the writer is alive (`heartbeat.py`)
               /policies/v0000 ..        checkpoints, made by `training`
               /iterations/0003/rollout/done.json    a StageReport, written last: it exists only when the stage is finished
               /logs/

Iteration 0 is the evaluation of the first policy. A resume asks `next_stage`; it needs no database.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from flows.settings.hints import on_run
from flows.settings.identity import changed, config_hash, digest, is_of, may_change
from flows.settings.loop_config import ConfigError, LoopConfig, dump_config, flatten, parse_config
from storage.atomic import write_atomically
from storage.errors import RunFolderError
from storage.heartbeat import beating
from storage.lock import LOCK, holder_of, locked
from storage.names import checked_name, run_names

M = TypeVar("M", bound=BaseModel)


class Stage(StrEnum):
    """The stages of one iteration, in their order."""

    ROLLOUT = "rollout"
    JUDGE = "judge"
    POLICY_UPDATE = "policy_update"
    EVALUATE = "evaluate"


class StageReport(BaseModel):
    """Content of done.json: the report of a finished stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stage: Stage
    iteration: int
    counts: dict[str, int] = {}
    metrics: dict[str, float] = {}
    """Values by stable name without the stage's prefix. Example: `{"success_rate": 0.53}`."""
    seconds: float
    """Duration of this stage's own work, over all known attempts."""
    finished_at: str = ""
    """UTC, ISO 8601; set when the report is written."""


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


class StageKey(NamedTuple):
    """One stage of one iteration. Example: `StageKey(3, Stage.JUDGE)`."""

    iteration: int
    stage: Stage

    def __str__(self) -> str:
        return f"iteration {self.iteration}, {self.stage}"


class RunFolder:
    """The folder of one loop. Reading needs no lock; a writer holds `lock()`."""

    def __init__(self, root: Path, config: LoopConfig) -> None:
        self.root = root
        self.config = config

    @property
    def name(self) -> str:
        """The run's name, which is the folder's name."""
        return self.root.name

    @property
    def policies(self) -> Path:
        """The folder of the checkpoints."""
        return self.root / "policies"

    @property
    def logs(self) -> Path:
        """The folder for output of subprocesses."""
        return self.root / "logs"

    @staticmethod
    def create(name: str, config: LoopConfig) -> "RunFolder":
        """A new run. Raises `RunNameError` for a bad name, `RunFolderError` if it exists or cannot be written."""
        root = config.runs_dir / checked_name(name)
        if (root / "run.json").exists():
            raise RunFolderError(
                f"run {name} exists already in {config.runs_dir}; {on_run('resume', root)} continues it"
            )
        if root.is_symlink():
            raise RunFolderError(
                f"{root} is a link; a new run gets a folder of its own: remove the link or choose another name"
            )
        folder = RunFolder(root, config)
        record = RunRecord(
            name=name, created=datetime.now(UTC).isoformat(timespec="seconds"), config_sha256=config_hash(config)
        )
        try:
            folder.logs.mkdir(parents=True, exist_ok=True)
            write_atomically(root / "config.yaml", dump_config(config).encode())
            folder.save_record(record)
        except OSError as error:
            raise RunFolderError(
                f"run {name} cannot be begun: {root} cannot be written ({error.strerror or error}); choose another runs_dir"
            ) from error
        return folder

    @staticmethod
    def open(root: Path) -> "RunFolder":
        """An existing run with the configuration it was started with; `runs_dir` is its present location.

        Raises `RunFolderError` if it is no run, damaged, or not readable.
        """
        try:
            if not (root / "run.json").exists():
                known = ", ".join(run_names(root.parent)) or "none yet"
                raise RunFolderError(f"no run {root.name} in {root.parent}; runs there: {known}")
            data = yaml.safe_load((root / "config.yaml").read_text())
            config = parse_config(data, root=root).model_copy(update={"runs_dir": root.parent.absolute()})
            folder = RunFolder(root, config)
            record = folder.record()
        except (OSError, ConfigError, UnicodeDecodeError, yaml.YAMLError) as error:
            words = " ".join(str(error).split())
            raise RunFolderError(f"run {root.name}: its config.yaml or run.json cannot be read: {words}") from error
        if not is_of(data, record.config_sha256):
            raise RunFolderError(
                f"run {root.name}: config.yaml was changed after the run was started; put the old values back or start a new run"
            )
        return folder

    def check_same(self, config: LoopConfig) -> None:
        """Raises `RunFolderError`, naming the keys, if `config` would change results or lowers the iterations."""
        other = {key: values for key, values in changed(self.config, config).items() if not may_change(key)}
        if other:
            changes = ", ".join(f"{key}={old!r} and not {new!r}" for key, (old, new) in list(other.items())[:5])
            raise RunFolderError(
                f"run {self.name} was started with {changes}; resume it with its own configuration or start a new run"
            )
        if config.iterations < self.config.iterations:
            raise RunFolderError(
                f"run {self.name} has iterations={self.config.iterations}; a resume can raise that but not lower it to "
                f"{config.iterations}: leave iterations out, or start a new run"
            )

    def changed_to(self, config: LoopConfig) -> "RunFolder":
        """The run with another configuration of the same identity, written to config.yaml: longer, on other services.

        Raises `RunFolderError` for another identity, and while another process writes the run.
        """
        self.check_same(config)
        config = config.model_copy(update={"runs_dir": self.config.runs_dir})
        if config == self.config:
            return self
        with self.lock():
            data = yaml.safe_load((self.root / "config.yaml").read_text())
            # First the digest, which holds for the old file and for the new one, whichever version wrote them.
            self.save_record(self.record().model_copy(update={"config_sha256": digest(data)}))
            for key, value in flatten(config.model_dump(mode="json")).items():
                if may_change(key):
                    _set(data, key, value)
            write_atomically(
                self.root / "config.yaml", yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()
            )
        return RunFolder(self.root, config)

    def record(self) -> RunRecord:
        """The current content of run.json. Raises `RunFolderError` if it is damaged."""
        return _read_json(self.root / "run.json", RunRecord, "restore it from a copy, or start a new run")

    def save_record(self, record: RunRecord) -> None:
        """Replace run.json."""
        write_atomically(self.root / "run.json", record.model_dump_json(indent=1).encode())

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

    def stage_dir(self, iteration: int, stage: Stage) -> Path:
        """The folder that only this stage writes."""
        return self.root / "iterations" / f"{iteration:04d}" / stage

    def iteration_file(self, iteration: int) -> Path:
        """File with the seconds of an iteration that ran in one go: `{"iteration_s": 31.2, "overhead_share": 0.02}`."""
        return self.root / "iterations" / f"{iteration:04d}" / "iteration.json"

    def is_done(self, iteration: int, stage: Stage) -> bool:
        """True if the stage is finished."""
        return (self.stage_dir(iteration, stage) / "done.json").exists()

    def report(self, iteration: int, stage: Stage) -> StageReport | None:
        """The report of a finished stage, None if unfinished. Raises `RunFolderError` if done.json is damaged."""
        path = self.stage_dir(iteration, stage) / "done.json"
        return _read_json(path, StageReport, "delete it and resume: the stage is done again") if path.exists() else None

    def finish(self, report: StageReport) -> StageReport:
        """Commit a stage: it never runs again. All its other files must be complete before."""
        stamped = report.model_copy(update={"finished_at": datetime.now(UTC).isoformat(timespec="milliseconds")})
        directory = self.stage_dir(report.iteration, report.stage)
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / "done.json", stamped.model_dump_json(indent=1).encode())
        _sync(directory)
        return stamped

    def schedule(self) -> Iterator[StageKey]:
        """All stages of the run in their order."""
        yield StageKey(0, Stage.EVALUATE)
        for iteration in range(1, self.config.iterations + 1):
            yield StageKey(iteration, Stage.ROLLOUT)
            yield StageKey(iteration, Stage.JUDGE)
            yield StageKey(iteration, Stage.POLICY_UPDATE)
            if self.config.evaluates_after(iteration):
                yield StageKey(iteration, Stage.EVALUATE)

    def next_stage(self) -> StageKey | None:
        """The first unfinished stage, None when the run is finished."""
        return next((key for key in self.schedule() if not self.is_done(*key)), None)

    def reports(self) -> list[StageReport]:
        """The reports of the finished stages in their order, evaluations requested in between included."""
        keys = (StageKey(iteration, stage) for iteration in range(self.config.iterations + 1) for stage in Stage)
        return [report for key in keys if (report := self.report(*key))]


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


def _set(data: dict[str, Any], key: str, value: object) -> None:
    """Set one dotted key in nested dictionaries."""
    *sections, last = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
    data[last] = value


def _sync(directory: Path) -> None:
    """Make the file names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
