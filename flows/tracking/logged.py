"""The run folder's record of what was logged to MLflow, so that missing logs are found without asking the server.

iterations/0003/judge/logged.json    the stage was logged
mlflow.json                          the last status set on the MLflow run
"""

import json

from flows.settings.run_folder import RunFolder
from storage.atomic import write_atomically

LOGGED, STATUS = "logged.json", "mlflow.json"


def is_logged(folder: RunFolder, status: str) -> bool:
    """True if MLflow has all finished stages of a run, and this status."""
    if read_status(folder) != status:
        return False
    return all((folder.stage_dir(one.iteration, one.stage) / LOGGED).exists() for one in folder.reports())


def read_status(folder: RunFolder) -> str | None:
    """The status last set on the MLflow run, None if it is not known."""
    try:
        return json.loads((folder.root / STATUS).read_bytes())["status"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def note_status(folder: RunFolder, status: str) -> None:
    """Records the status set on the MLflow run."""
    write_atomically(folder.root / STATUS, json.dumps({"status": status}).encode())
