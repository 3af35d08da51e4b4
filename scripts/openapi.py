"""Writes the API's description for the front end: `python -m scripts.openapi`, then `npm run types` in dashboard/web."""

import json
import tempfile
from pathlib import Path

from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.database.opening import open_database, sqlite_url
from dashboard.settings import Settings
from dashboard.store import RunsDir
from dashboard.worker.config import PlayConfig

FILE = Path(__file__).parent.parent / "dashboard/web/openapi.json"


def description() -> str:
    """The description as the server answers it, with sorted keys."""
    with tempfile.TemporaryDirectory(prefix="openapi-") as folder:
        home = Path(folder)
        settings = Settings(runs=home, data=home, database=sqlite_url(home / "dashboard.db"))
        service = Service(settings, PlayConfig(), open_database(settings.database), RunsDir(home))
        try:
            return json.dumps(create_app(home, service).openapi(), indent=1, sort_keys=True) + "\n"
        finally:
            service.database.close()


if __name__ == "__main__":
    FILE.write_text(description())
