"""A real deployment for tests: master, nodes and instances as processes of their own, on free ports."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import eventually
import httpx
import psutil
from real_service import free_port

from browser_service.egress.addresses import Endpoint

START_S = 120.0
SMALL = {"width": 400, "height": 300}


@dataclass
class Deployment:
    """Two nodes with one instance of two slots each, behind a master."""

    url: str
    node_urls: list[str]
    state_dir: Path
    process: "subprocess.Popen[bytes]" = field(repr=False)
    capacity: int = 4

    def pid_of(self, port: int | str) -> int:
        """The process that serves the port (or the address) at the moment."""
        wanted = str(port).rpartition(":")[2]
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if (
                    process.environ().get("BROWSER_SERVICE_PORT") == wanted
                    and "browser_service.cli" in process.cmdline()
                ):
                    return process.pid
        raise LookupError(f"nothing of the deployment serves port {wanted}")

    def listening(self) -> set[Endpoint]:
        """Where processes of the service itself listen; Chromium's are not among them."""
        found = set[Endpoint]()
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "browser_service.cli" not in process.cmdline():
                    continue
                open_ones = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
                found |= {Endpoint(each.laddr.ip, each.laddr.port) for each in open_ones}
        return found

    def kill(self, port: int | str, number: signal.Signals = signal.SIGKILL) -> psutil.Process:
        """Sends a signal to the process that serves the port."""
        process = psutil.Process(self.pid_of(port))
        process.send_signal(number)
        return process

    def is_whole(self) -> bool:
        """True if every slot is present and free, and the master gives them out."""
        try:
            nodes = httpx.get(f"{self.url}/info", timeout=20).json()["nodes"]
            is_ready = httpx.get(f"{self.url}/readyz", timeout=20).status_code == 200
        except httpx.HTTPError:
            return False
        usable = [node for node in nodes if node["healthy"] and not node["draining"]]
        return is_ready and sum(node["available"] for node in usable) == self.capacity

    def wait_until_whole(self, within_s: float = START_S) -> float:
        """Waits for `is_whole`; returns the seconds that it took."""
        return wait_until(self.is_whole, within_s)


def wait_until(is_so: Callable[[], bool], within_s: float) -> float:
    """Waits until something is so; returns the seconds that it took. `within_s` is a quiet machine's: a crowded one gets more."""
    return eventually.wait_until(is_so, within_s=max(within_s, eventually.PATIENCE_S))


@contextmanager
def running_deployment(**environment: str) -> Generator[Deployment, None, None]:
    """`browser-service deploy` on free ports, with reports that come fast enough for tests."""
    master, node, instance = free_port(), consecutive_ports(1), consecutive_ports(100)
    with tempfile.TemporaryDirectory(prefix="bt-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        settings = {
            "BROWSER_SERVICE_STATE_DIR": folder,
            "BROWSER_SERVICE_REPORT_INTERVAL_S": "0.2",
            "BROWSER_SERVICE_INSTANCE_TTL_S": "2",
            "BROWSER_SERVICE_REAP_INTERVAL_S": "0.1",
            "BROWSER_SERVICE_WARM": "1",
            "BROWSER_SERVICE_EGRESS_SITES": "127.0.0.1:*",
            **environment,
        }
        ports = ["--port", str(master), "--node-port", str(node), "--instance-port", str(instance)]
        command = [*cli("deploy"), *ports, "--nodes", "2", "--slots", "4", "--instances", "1", "--log-level", "warning"]
        process = subprocess.Popen(command, env={**os.environ, **settings})
        urls = [f"http://127.0.0.1:{node + index}" for index in range(2)]
        deployment = Deployment(f"http://127.0.0.1:{master}", urls, Path(folder), process)
        try:
            deployment.wait_until_whole()
            yield deployment
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait(40)
            _, alive = psutil.wait_procs(children, timeout=60)
            assert not alive, "processes of the deployment are left"
        assert list(Path(folder).iterdir()) == [], "the deployment left files behind"


def cli(*arguments: str) -> list[str]:
    """The command line of the service."""
    return [sys.executable, "-m", "browser_service.cli", *arguments]


def consecutive_ports(distance: int) -> int:
    """A free port whose neighbour at this distance is free too."""
    while True:
        first = free_port()
        with socket.socket() as probe, suppress(OSError, OverflowError):
            probe.bind(("127.0.0.1", first + distance))
            return first
