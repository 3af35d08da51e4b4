"""A real browser service, and the file that tells a run where it is."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import httpx
import psutil
import pytest

from flows.services.service_files import ServiceStatus, SupervisorStatus, status_file
from flows.services.specs import BROWSER
from flows.settings.loop_config import LoopConfig
from storage.process_id import ProcessId, process_id

START_S = 60.0


@pytest.fixture(scope="module")
def browsers() -> Generator[str]:
    """The address of a real browser service with two slots."""
    with running_service("up", "--slots", "2") as service:
        yield service.url


class Service(NamedTuple):
    """A running browser service."""

    url: str
    pid: int

    def parts(self) -> list[psutil.Process]:
        """Its own processes below the first one, browsers left out: nodes and instances, and a deployment's master."""
        below = psutil.Process(self.pid).children(recursive=True)
        return [process for process in below if "browser_service.cli" in _command(process)]

    def part(self, kind: str) -> psutil.Process:
        """The first process of a kind: `master`, `node`, `instance`."""
        return next(process for process in self.parts() if kind in _command(process))


@contextmanager
def running_service(*arguments: str, **settings: str) -> Generator[Service]:
    """`browser-service <arguments>` on a free port, once it is ready; `settings` as in its environment, without the prefix."""
    port = free_port()
    command = [sys.executable, "-m", "browser_service.cli", *arguments, "--port", str(port)]
    environment = os.environ | {f"BROWSER_SERVICE_{name}": value for name, value in settings.items()}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as service:
        deadline = time.monotonic() + START_S
        while not _is_ready(f"http://127.0.0.1:{port}/readyz"):
            assert time.monotonic() < deadline and service.poll() is None, "the browser service did not start"
            time.sleep(0.1)
        yield Service(f"http://127.0.0.1:{port}", service.pid)
        service.terminate()


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def supervised(config: LoopConfig, browsers: str, supervisor: ProcessId | None = None) -> None:
    """Writes a supervisor's files; the supervisor is this process unless another is given."""
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
