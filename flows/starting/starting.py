"""From a flow's parameters, or a command's arguments, to a run folder: a new run, or an existing one.

Every entrance calls these functions, so that Prefect's form refuses what the command line refuses.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.services.services import check_running
from flows.services.stack import adopted, read_stack
from flows.settings.checkout import DEFAULT_CONFIG, config_or_default
from flows.settings.hints import on_run
from flows.settings.identity import ITERATIONS
from flows.settings.loop_config import LoopConfig, keys_of, load_config
from flows.settings.run_folder import RunFolder
from flows.starting import preflight
from storage.errors import RunFolderError
from storage.names import checked_name, free_name, run_names
from storage.run_layout import RunLayout, is_run

NOTHING_TO_DO = "nothing to do"
"""Start of a flow's last message when its run was finished before."""


def folder_for(
    config_file: Path, overrides: list[str], run: str | None, *, flow_run_id: str | None, state_dir: Path | None = None
) -> RunFolder:
    """The folder of the run that these parameters name; `flow_run_id` is recorded in it.

    `state_dir`: the services of this flow's worker, which are used whatever the file says; with the form's default
    file, `runs_dir` is that of the configuration of these services. Without a name it is a new run, unless the same flow
    run (a retry in Prefect) has begun one before. Raises a `LoopError` before anything is written when the
    configuration is wrong, cannot be served here, or is not the one that the named run was started with.
    """
    if run is not None:
        checked_name(run)
    config = load_config(_found(config_file), overrides)
    if config_file == DEFAULT_CONFIG and state_dir and "runs_dir" not in keys_of(overrides):
        config = config.model_copy(update={"runs_dir": Path(read_stack(state_dir).runs_dir)})
    name = run or (begun_by(config.runs_dir, flow_run_id) if flow_run_id else None)
    if name and is_run(config.runs_dir / name):
        folder = _go_on(RunFolder.open(config.runs_dir / name), config_file, overrides, flow_run_id, state_dir)
    else:
        folder = new_folder(admitted(config, overrides, state_dir), name)
    if flow_run_id:
        note_flow_run(folder, flow_run_id)
    return folder


def admitted(config: LoopConfig, overrides: Sequence[str], state_dir: Path | None) -> LoopConfig:
    """The configuration adapted to the running services. Raises a `LoopError` when it cannot run here."""
    preflight.refuse_early(config)
    check_running(state_dir or config.services.state_dir)
    return adopted(config, overrides, state_dir or config.services.state_dir)


def find_run(run: str, config_file: Path | None) -> RunFolder:
    """A run by the path of its folder, or by its name, in the folder of runs of the configuration.

    Raises a `LoopError` when there is no such run, and when it or the configuration cannot be read.
    """
    given = Path(os.path.abspath(run))  # noqa: PTH100 (keeps links, resolves . and ..)
    if run and _has_record(given):
        return RunFolder.open(given)
    if "/" in run or run in (".", ".."):
        raise RunFolderError(f"no run in {given}: there is no run.json; name a run, or the folder of one")
    return RunFolder.open(load_config(config_or_default(config_file)).runs_dir / checked_name(run))


def runs_dir_of(state_dir: Path | None) -> Path:
    """The folder of runs of the services of `state_dir`; without one, that of the default configuration."""
    return Path(read_stack(state_dir).runs_dir) if state_dir else load_config(config_or_default(None)).runs_dir


def named_or_newest(runs_dir: Path, run: str | None) -> RunFolder:
    """A run by its name, the newest without one. Raises a `LoopError` if there is none."""
    if run is None:
        names = run_names(runs_dir)
        if not names:
            raise RunFolderError(f"there is no run in {runs_dir} yet; start one with rl-loop run")
        run = names[0]
    return RunFolder.open(runs_dir / checked_name(run))


def asked_of(folder: RunFolder, overrides: Sequence[str]) -> LoopConfig:
    """The run's own configuration with overrides. Raises a `LoopError` if a resume may not use them."""
    config = _placed(load_config(folder.config_file, overrides), folder)
    folder.check_same(config)
    return config


def nothing_to_do(folder: RunFolder) -> str:
    """The message for a finished run, with the command that makes it longer."""
    done = folder.config.iterations
    longer = on_run("resume", folder.root, f"{ITERATIONS}={2 * done}")
    return f"{NOTHING_TO_DO}: all {done} iterations of {folder.name} are finished; {longer} makes it longer"


def place_of(folder: RunFolder) -> str:
    """The override that points the configuration in a run's folder to that folder, wherever it was moved."""
    return f"runs_dir={json.dumps(str(folder.root.parent))}"


def resume_parameters(folder: RunFolder, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The parameters of the flow run that continues a run where its folder lies now."""
    asked = [*overrides, place_of(folder)]
    return {"config": str(folder.config_file), "overrides": asked, "run": folder.name}


def new_folder(config: LoopConfig, name: str | None) -> RunFolder:
    """A new run, named after the configuration if no name is given. Raises `RunFolderError` if the name is taken."""
    return RunFolder.create(name or free_name(config.runs_dir, config.name), config)


def begun_by(runs_dir: Path, flow_run_id: str) -> str | None:
    """Name of the run that was begun by a Prefect flow run."""
    for name in run_names(runs_dir):
        if flow_run_id.encode() in RunLayout(runs_dir / name).record_file.read_bytes():
            return name
    return None


def note_flow_run(folder: RunFolder, flow_run_id: str) -> None:
    """Add a Prefect flow run to run.json."""
    record = folder.record()
    if flow_run_id not in record.prefect_flow_runs:
        known = [*record.prefect_flow_runs, flow_run_id]
        folder.save_record(record.model_copy(update={"prefect_flow_runs": known}))


def _go_on(
    folder: RunFolder, config_file: Path, overrides: list[str], flow_run_id: str | None, state_dir: Path | None
) -> RunFolder:
    """An existing run with the changes that a resume may make, on the running services."""
    is_retry = flow_run_id in folder.record().prefect_flow_runs
    # Nobody chose the form's default file, so the run's own configuration applies.
    chosen = folder.config_file if config_file == DEFAULT_CONFIG else config_file
    config = _placed(load_config(chosen, overrides), folder)
    # Fewer iterations than the run has do not shorten it when they come from an earlier start or from the file.
    if (is_retry or ITERATIONS not in keys_of(overrides)) and config.iterations < folder.config.iterations:
        config = config.model_copy(update={ITERATIONS: folder.config.iterations})
    folder.check_same(config)
    if RunFolder(folder.root, config).next_stage() is not None:
        config = admitted(config, overrides, state_dir)
    return folder.changed_to(config)


def _has_record(folder: Path) -> bool:
    """True if this is the folder of a run. Raises `RunFolderError` if it may not be read."""
    try:
        return RunLayout(folder).record_file.is_file()
    except PermissionError as error:
        raise RunFolderError(f"{folder} cannot be read ({error.strerror}); ask its owner for the right to") from error
    except OSError:  # not a usable path, such as one that is too long
        return False


def _placed(config: LoopConfig, folder: RunFolder) -> LoopConfig:
    """The configuration with the run's present folder of runs: the run may have been moved."""
    return config.model_copy(update={"runs_dir": folder.config.runs_dir})


def _found(config_file: Path) -> Path:
    """The configuration file; the form's default stands for the default one, in any working directory of the worker."""
    return config_or_default(None) if config_file == DEFAULT_CONFIG else config_file
