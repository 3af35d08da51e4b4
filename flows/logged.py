"""What MLflow has of a run, as the run folder remembers it: so that what is missing is known without asking.

iterations/0003/judge/logged.json    the stage was logged
mlflow.json                          the status that the MLflow run was last given
"""

import json

from agent.store import write_atomically
from flows.run_folder import RunFolder

LOGGED, STATUS = "logged.json", "mlflow.json"


def is_logged(folder: RunFolder, status: str) -> bool:
    """Whether MLflow has all finished stages of a run, and this status of it."""
    if read_status(folder) != status:
        return False
    return all((folder.stage_dir(one.iteration, one.stage) / LOGGED).exists() for one in folder.reports())


def read_status(folder: RunFolder) -> str | None:
    """The status that the MLflow run was last given, None if that is not known."""
    try:
        return json.loads((folder.root / STATUS).read_bytes())["status"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def note_status(folder: RunFolder, status: str) -> None:
    """Remember what MLflow was told."""
    write_atomically(folder.root / STATUS, json.dumps({"status": status}).encode())
