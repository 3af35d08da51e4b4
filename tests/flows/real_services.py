"""A real browser service, and the file that tells a run where it is."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator

import httpx
import pytest

from flows.config import LoopConfig
from flows.processes import ProcessId, process_id
from flows.service_specs import BROWSER
from flows.supervisor import ServiceStatus, SupervisorStatus, status_file

START_S = 60.0


@pytest.fixture(scope="module")
def browsers() -> Generator[str]:
    """The address of a real browser service with two slots."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "browser_service.cli", "up", "--port", str(port), "--slots", "2"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as service:
        deadline = time.monotonic() + START_S
        while not _is_ready(f"http://127.0.0.1:{port}/readyz"):
            assert time.monotonic() < deadline and service.poll() is None, "the browser service did not start"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        service.terminate()


def supervised(config: LoopConfig, browsers: str, supervisor: ProcessId | None = None) -> None:
    """Writes what a supervisor would, who is this process unless another one is given."""
    supervisor = supervisor or process_id(os.getpid())
    assert supervisor is not None
    status = SupervisorStatus(supervisor=supervisor, services=[ServiceStatus(name=BROWSER, address=browsers, log="")])
    config.services.state_dir.mkdir(parents=True, exist_ok=True)
    status_file(config.services.state_dir).write_text(status.model_dump_json())


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
