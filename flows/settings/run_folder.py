"""A run folder with its configuration. It is the source of truth about a loop: finished stages, the next stage.

Iteration 0 is the evaluation of the first policy. A resume asks `next_stage`; it needs no database.
The files in the folder: storage/run_layout.py.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from flows.settings.hints import on_run
from flows.settings.identity import changed, config_hash, digest, is_of, may_change
from flows.settings.loop_config import ConfigError, LoopConfig, dump_config, flatten, parse_config
from flows.settings.yaml_text import read_yaml
from rollouts.inputs import RunInputs
from storage.atomic import write_atomically
from storage.errors import RunFolderError
from storage.names import checked_name, run_names
from storage.run_layout import RunLayout, RunRecord, is_run
from storage.stages import Stage, StageKey, StageReport


class RunFolder(RunLayout):
    """The folder of one loop with the configuration that is in it."""

    def __init__(self, root: Path, config: LoopConfig) -> None:
        super().__init__(root)
        self.config = config

    @property
    def inputs(self) -> RunInputs:
        """The part of the run that the scheduler reads."""
        return RunInputs(self, self.config.rollout_settings())

    @staticmethod
    def create(name: str, config: LoopConfig) -> "RunFolder":
        """A new run. Raises `RunNameError` for a bad name, `RunFolderError` if it exists or cannot be written."""
        root = config.runs_dir / checked_name(name)
        if is_run(root):
            raise RunFolderError(
                f"run {name} exists already in {config.runs_dir}; {on_run('resume', root)} continues it"
            )
        if root.is_symlink():
            raise RunFolderError(
                f"{root} is a link; a new run gets a folder of its own: remove the link or choose another name"
            )
        folder = RunFolder(root, config)
        record = RunRecord(
            name=name, created=datetime.now(UTC).isoformat(timespec="milliseconds"), config_sha256=config_hash(config)
        )
        try:
            folder.logs.mkdir(parents=True, exist_ok=True)
            write_atomically(folder.config_file, dump_config(config).encode())
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
            if not is_run(root):
                known = ", ".join(run_names(root.parent)) or "none yet"
                raise RunFolderError(f"no run {root.name} in {root.parent}; runs there: {known}")
            data = read_yaml(RunLayout(root).config_file.read_text())
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
            data = read_yaml(self.config_file.read_text())
            # First the digest, which holds for the old file and for the new one, whichever version wrote them.
            self.save_record(self.record().model_copy(update={"config_sha256": digest(data)}))
            for key, value in flatten(config.model_dump(mode="json")).items():
                if may_change(key):
                    _set(data, key, value)
            write_atomically(self.config_file, yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode())
        return RunFolder(self.root, config)

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


def _set(data: dict[str, Any], key: str, value: object) -> None:
    """Set one dotted key in nested dictionaries."""
    *sections, last = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
    data[last] = value
