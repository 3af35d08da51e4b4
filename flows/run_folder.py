"""The run folder is the truth about a loop: what is finished, what is next, who may write.

    runs/<name>/config.yaml              the resolved configuration
               /run.json                 MLflow run, Prefect flow runs, created
               /lock                     held (flock) by the one process that may write
               /heartbeat.json           that this process lives (`heartbeat.py`)
               /policies/v0000 ..        checkpoints, made by `training`
               /iterations/0003/rollout/done.json    a StageReport, written last: it exists only when the stage is finished
               /logs/

Iteration 0 is the evaluation of the first policy. Resuming is asking `next_stage`; it needs no database.
"""

import fcntl
import hashlib
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from agent.store import write_atomically
from flows.config import ConfigError, LoopConfig, dump_config, flatten, parse_config
from flows.errors import LoopError
from flows.heartbeat import beating


class RunFolderError(LoopError):
    """The run folder cannot be used as asked. The message is one sentence."""


class Stage(StrEnum):
    """The stages of one iteration, in their order."""

    ROLLOUT = "rollout"
    JUDGE = "judge"
    POLICY_UPDATE = "policy_update"
    EVALUATE = "evaluate"


class StageReport(BaseModel):
    """Content of done.json: what a finished stage did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    iteration: int
    counts: dict[str, int] = {}
    metrics: dict[str, float] = {}
    """By stable name without the stage's prefix. Example: `{"success_rate": 0.53}`."""
    seconds: float
    """Of this stage's own work, over all attempts that are known."""
    finished_at: str = ""
    """UTC, ISO 8601; set when the report is written."""


class RunRecord(BaseModel):
    """Content of run.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    created: str
    config_sha256: str
    """Of everything in the configuration that decides results: all sections but `services`."""
    mlflow_run_id: str | None = None
    mlflow_uri: str | None = None
    prefect_flow_runs: list[str] = []


class StageKey(NamedTuple):
    """One stage of one iteration. Example: `StageKey(3, Stage.JUDGE)`."""

    iteration: int
    stage: Stage

    def __str__(self) -> str:
        return f"iteration {self.iteration}, {self.stage}"


class RunFolder:
    """One loop's folder. Reading needs nothing; whoever writes holds `lock()`."""

    def __init__(self, root: Path, config: LoopConfig) -> None:
        self.root = root
        self.config = config

    @property
    def name(self) -> str:
        """The run's name, which is the folder's."""
        return self.root.name

    @property
    def policies(self) -> Path:
        """Where the checkpoints are."""
        return self.root / "policies"

    @property
    def logs(self) -> Path:
        """Where output of subprocesses goes."""
        return self.root / "logs"

    @staticmethod
    def create(name: str, config: LoopConfig) -> "RunFolder":
        """A new run. Raises `RunFolderError` if there is one of this name."""
        root = config.runs_dir / name
        if (root / "run.json").exists():
            raise RunFolderError(
                f"run {name} exists already in {config.runs_dir}; `rl-loop resume {name}` continues it"
            )
        folder = RunFolder(root, config)
        folder.logs.mkdir(parents=True, exist_ok=True)
        write_atomically(root / "config.yaml", dump_config(config).encode())
        folder.save_record(
            RunRecord(
                name=name, created=datetime.now(UTC).isoformat(timespec="seconds"), config_sha256=config_hash(config)
            )
        )
        return folder

    @staticmethod
    def open(root: Path) -> "RunFolder":
        """An existing run with the configuration it was started with. Raises `RunFolderError` if it is none or damaged."""
        if not (root / "run.json").is_file():
            known = ", ".join(run_names(root.parent)) or "none yet"
            raise RunFolderError(f"no run {root.name} in {root.parent}; runs there: {known}")
        try:
            data = yaml.safe_load((root / "config.yaml").read_text())
            folder = RunFolder(root, parse_config(data, root=root))
            record = folder.record()
        except (OSError, ConfigError, RunFolderError, yaml.YAMLError) as error:
            raise RunFolderError(f"run {root.name}: its config.yaml or run.json cannot be read: {error}") from error
        if record.config_sha256 != _digest(data):
            raise RunFolderError(
                f"run {root.name}: config.yaml was changed after the run was started; put the old values back or start a new run"
            )
        return folder

    def check_same(self, config: LoopConfig) -> None:
        """Raises `RunFolderError`, naming the keys, if `config` would give other results than the run's own."""
        if config_hash(config) == config_hash(self.config):
            return
        mine, other = (_identity(each.model_dump(mode="json")) for each in (self.config, config))
        keys = sorted(key for key in mine.keys() | other.keys() if mine.get(key) != other.get(key))
        changes = ", ".join(f"{key}={mine.get(key)!r} and not {other.get(key)!r}" for key in keys[:5])
        raise RunFolderError(
            f"run {self.name} was started with {changes}; resume it with its own configuration or start a new run"
        )

    def moved_to(self, config: LoopConfig) -> "RunFolder":
        """The run with the services of another configuration, which are no part of its identity; config.yaml says so then."""
        if config.services == self.config.services:
            return self
        folder = RunFolder(self.root, self.config.model_copy(update={"services": config.services}))
        write_atomically(self.root / "config.yaml", dump_config(folder.config).encode())
        return folder

    def record(self) -> RunRecord:
        """What run.json says now."""
        try:
            return RunRecord.model_validate_json((self.root / "run.json").read_bytes())
        except ValidationError as error:
            raise RunFolderError(f"{self.root / 'run.json'} is damaged: {error.errors()[0]['msg']}") from error

    def save_record(self, record: RunRecord) -> None:
        """Replace run.json."""
        write_atomically(self.root / "run.json", record.model_dump_json(indent=1).encode())

    @contextmanager
    def lock(self) -> Generator[None]:
        """The right to write, until the context or the process ends. Raises `RunFolderError` naming the pid that has it."""
        with self._locked(), beating(self.root):
            yield

    @contextmanager
    def _locked(self) -> Generator[None]:
        with (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise RunFolderError(
                    f"run {self.name} is being written by process {holder}; wait for it or stop it first"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def writer(self) -> int | None:
        """Pid of the process that holds the lock, None if nobody does."""
        try:
            with self._locked():
                return None
        except RunFolderError:
            text = (self.root / "lock").read_text().strip()
            return int(text) if text.isdigit() else 0

    def stage_dir(self, iteration: int, stage: Stage) -> Path:
        """The folder that a stage writes, and nothing else does."""
        return self.root / "iterations" / f"{iteration:04d}" / stage

    def iteration_file(self, iteration: int) -> Path:
        """Seconds of a whole iteration, written when it ran in one go: `{"iteration_s": 31.2, "overhead_share": 0.02}`."""
        return self.root / "iterations" / f"{iteration:04d}" / "iteration.json"

    def is_done(self, iteration: int, stage: Stage) -> bool:
        """Whether the stage is finished."""
        return (self.stage_dir(iteration, stage) / "done.json").is_file()

    def report(self, iteration: int, stage: Stage) -> StageReport | None:
        """What a finished stage reported, None if it is not finished."""
        path = self.stage_dir(iteration, stage) / "done.json"
        return StageReport.model_validate_json(path.read_bytes()) if path.is_file() else None

    def finish(self, report: StageReport) -> StageReport:
        """Commit a stage: after this it never runs again. Everything it wrote must be complete before."""
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
        """The first stage that is not finished, None when the run is."""
        return next((key for key in self.schedule() if not self.is_done(*key)), None)

    def reports(self) -> list[StageReport]:
        """The reports of the finished stages in their order, evaluations that were asked for in between included."""
        keys = (StageKey(iteration, stage) for iteration in range(self.config.iterations + 1) for stage in Stage)
        return [report for key in keys if (report := self.report(*key))]


def run_names(runs_dir: Path) -> list[str]:
    """Names of the runs in a folder, newest first."""
    records = sorted(runs_dir.glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent.name for path in records]


def free_name(runs_dir: Path, wanted: str) -> str:
    """`wanted`, or the first of `wanted-2`, `wanted-3`, .. that no run has."""
    taken = set(run_names(runs_dir))
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def config_hash(config: LoopConfig) -> str:
    """Hex digest of everything that decides results."""
    return _digest(config.model_dump(mode="json"))


def _identity(data: Mapping[str, Any]) -> dict[str, Any]:
    """What must not change between start and resume: ports and places may."""
    return flatten({key: value for key, value in data.items() if key not in ("services", "runs_dir")})


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(_identity(data).items())).encode()).hexdigest()


def _sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
