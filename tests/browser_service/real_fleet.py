"""A whole service as an operator runs it: one Redis, two masters, two nodes of one instance each, nginx before it with TLS."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from real_redis import RealRedis, running_redis
from real_service import free_port
from real_tiers import START_S, cli, wait_until

CAPACITY = 4


@dataclass
class Part:
    """One process of the service, to be stopped and started again at the same address."""

    url: str
    arguments: Sequence[str]
    environment: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self) -> None:
        """Starts it, and waits for nothing. What it says goes to its log."""
        environment = {**os.environ, **self.environment}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(cli(*self.arguments), env=environment, stderr=log)

    def send(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def pids(self) -> list[int]:
        """It and what is below it."""
        assert self.process
        return [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))]

    def send_all(self, pids: Sequence[int], number: signal.Signals) -> None:
        """A signal to its processes, those that have ended meanwhile left out."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it and waits for that, and for the processes below it."""
        assert self.process
        below = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(60)
            raise AssertionError(f"{number.name} did not end it; its log: {self.log.read_text()[-2_000:]}") from None
        _, alive = psutil.wait_procs(below, timeout=20)
        assert not alive, "processes are left"


@dataclass
class Fleet:
    """Each test leaves it whole."""

    masters: list[Part]
    nodes: list[Part]
    redis: RealRedis
    folder: Path

    @property
    def url(self) -> str:
        """All masters, as clients name them."""
        return ",".join(master.url for master in self.masters)

    def info(self, master: int = 0) -> dict[str, Any]:
        return httpx.get(f"{self.masters[master].url}/info", timeout=10).raise_for_status().json()

    def node(self, url: str, master: int = 0) -> dict[str, Any]:
        """A node in a master's status; empty if it is not there."""
        return next((node for node in self.info(master)["nodes"] if node["url"] == url), {})

    def is_whole(self) -> bool:
        """True if both masters give out every slot."""
        try:
            for number, master in enumerate(self.masters):
                reported = self.info(number)
                free = sum(node["available"] for node in reported["nodes"] if node["healthy"] and not node["draining"])
                if free != CAPACITY or httpx.get(f"{master.url}/readyz", timeout=5).status_code != 200:
                    return False
                if [front["state"] for front in reported["fronts"]] != ["up", "up"]:
                    return False
        except httpx.HTTPError:
            return False
        return True

    def make_whole(self) -> None:
        """Ends what is leased and takes back what was ordered, and waits for the rest."""
        for part in (*self.masters, *self.nodes):
            if part.process and part.process.poll() is not None:
                part.start()
        wait_until(lambda: all(is_up(master.url) for master in self.masters), START_S)
        first = self.masters[0].url
        for part in ({}, *({"node": node["url"]} for node in self.info()["nodes"] if node["draining"])):
            httpx.post(f"{first}/undrain", params=part, timeout=10)
        for session in httpx.get(f"{first}/sessions", timeout=10).json()["sessions"]:
            httpx.delete(f"{first}/sessions/{session['instance_id']}", timeout=10)
        wait_until(self.is_whole, START_S)

    def metrics(self, *, without: Part | None = None) -> list[str]:
        """The lines of all targets that Prometheus would scrape: masters, nodes and instances."""
        nodes = [part for part in self.nodes if part is not without]
        instances = [f"http://127.0.0.1:{part.environment['INSTANCE_PORT']}" for part in nodes]
        urls = [*(part.url for part in (*self.masters, *nodes)), *instances]
        return [line for url in urls for line in httpx.get(f"{url}/metrics", timeout=20).text.splitlines()]


def is_up(url: str) -> bool:
    """True if the process at the address answers."""
    try:
        return httpx.get(f"{url}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def total(lines: Sequence[str], name: str, label: str = "") -> float:
    """The sum of what these targets tell under a name, of the series that have this label."""
    found = [line for line in lines if re.match(rf"browser_service_{name}[ {{]", line) and label in line]
    return sum(float(line.rpartition(" ")[2]) for line in found)


@contextmanager
def running_fleet() -> Generator[Fleet, None, None]:
    """The processes, on free ports, with terms that are short enough for tests."""
    folder = Path(tempfile.mkdtemp(prefix="bf-", dir="/tmp"))
    folder.chmod(0o711)
    environment = {
        "BROWSER_SERVICE_STATE_DIR": str(folder / "state"),
        "BROWSER_SERVICE_REPORT_INTERVAL_S": "0.2",
        "BROWSER_SERVICE_INSTANCE_TTL_S": "2",
        "BROWSER_SERVICE_REAP_INTERVAL_S": "0.1",
        "BROWSER_SERVICE_WARM": "1",
        "BROWSER_SERVICE_DRAIN_DEADLINE_S": "0.5",
        "BROWSER_SERVICE_REDIS_DEADLINE_S": "1",
    }
    with running_redis() as redis, ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        master_ports = [free_port(), free_port()]
        masters = [
            Part(
                f"http://127.0.0.1:{port}",
                ["master", "--port", str(port), "--redis", redis.url, "--log-level", "warning"],
                environment,
                folder / f"{port}.log",
            )
            for port in master_ports
        ]
        named = ",".join(master.url for master in masters)
        nodes = [_node(named, environment, folder) for _ in range(2)]
        parts = [*masters, *nodes]
        stack.callback(_end_all, parts)
        for part in parts:
            part.start()
        fleet = Fleet(masters, nodes, redis, folder)
        wait_until(fleet.is_whole, START_S)
        yield fleet


def _node(masters: str, environment: dict[str, str], folder: Path) -> Part:
    port, instance = free_port(), free_port()
    arguments = ["node", "--port", str(port), "--master", masters, "--slots", str(CAPACITY // 2), "--instances", "1"]
    arguments += ["--instance-port", str(instance), "--log-level", "warning"]
    reported = {**environment, "INSTANCE_PORT": str(instance)}
    return Part(f"http://127.0.0.1:{port}", arguments, reported, folder / f"{port}.log")


def _end_all(parts: Sequence[Part]) -> None:
    for part in parts:
        if part.process and part.process.poll() is None:
            part.end(signal.SIGINT)
