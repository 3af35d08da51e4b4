"""Prefect's test server with the faults mended that `flows.services.prefect_server` mends: it could stop for ever after an automation."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness

START_S = 120


def create_app() -> Any:
    """Factory for uvicorn: Prefect's application, mended."""
    from prefect.server.api.server import create_app as make

    from flows.services.prefect_server import begin_immediately, load_automations_in_the_loop

    begin_immediately()
    load_automations_in_the_loop()
    return make()


def _run(self: SubprocessASGIServer) -> subprocess.Popen[bytes]:
    """As Prefect starts it, with the factory above."""
    ours = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    factory = ["--app-dir", str(Path(__file__).parent), "--factory", "mended_prefect:create_app"]
    address = ["--host", "127.0.0.1", "--port", str(self.port)]
    command = [sys.executable, "-m", "uvicorn", *factory, *address, "--log-level", "error", "--lifespan", "on"]
    return subprocess.Popen(command, env=os.environ | ours | settings)


@contextmanager
def mended_server() -> Generator[None]:
    """A Prefect server with an empty database, which the settings of this process point at."""
    with (
        patch.object(SubprocessASGIServer, "_run_uvicorn_command", _run),
        prefect_test_harness(server_startup_timeout=START_S),
    ):
        yield
