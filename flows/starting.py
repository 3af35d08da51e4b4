"""From a flow's parameters to its run folder: a new run, or the one to go on with."""

from pathlib import Path

from flows.config import LoopConfig, load_config
from flows.run_folder import RunFolder, free_name, run_names


def folder_for(config_file: Path, overrides: list[str], run: str | None, *, flow_run_id: str | None) -> RunFolder:
    """The folder of the run that these parameters mean; `flow_run_id` is noted in it.

    Without a name it is a new run, unless the same flow run (a retry in Prefect) has begun one before.
    Raises a `LoopError` when the configuration is wrong, or is not the one that the named run was started with.
    """
    config = load_config(config_file, overrides)
    name = run or (begun_by(config.runs_dir, flow_run_id) if flow_run_id else None)
    if name and (config.runs_dir / name / "run.json").exists():
        folder = RunFolder.open(config.runs_dir / name)
        folder.check_same(config)
        folder = folder.moved_to(config)
    else:
        folder = new_folder(config, name)
    if flow_run_id:
        note_flow_run(folder, flow_run_id)
    return folder


def find_run(run: str, config_file: Path) -> RunFolder:
    """A run by the path of its folder, or by its name: then the configuration says where runs are.

    Raises a `LoopError` when there is no such run, and when it or the configuration cannot be read.
    """
    given = Path(run)
    return RunFolder.open(given if (given / "run.json").is_file() else load_config(config_file).runs_dir / run)


def new_folder(config: LoopConfig, name: str | None) -> RunFolder:
    """A new run, named after the configuration if no name is given. Raises `RunFolderError` if the name is taken."""
    return RunFolder.create(name or free_name(config.runs_dir, config.name), config)


def begun_by(runs_dir: Path, flow_run_id: str) -> str | None:
    """Name of the run that a Prefect flow run began."""
    for name in run_names(runs_dir):
        if flow_run_id in (runs_dir / name / "run.json").read_text():
            return name
    return None


def note_flow_run(folder: RunFolder, flow_run_id: str) -> None:
    """Add a Prefect flow run to run.json."""
    record = folder.record()
    if flow_run_id not in record.prefect_flow_runs:
        known = [*record.prefect_flow_runs, flow_run_id]
        folder.save_record(record.model_copy(update={"prefect_flow_runs": known}))
