"""The whole stack as a user has it: `rl-loop up` once, commands as processes of their own, `kill -9` by pid."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import yaml

from flows.commands.operations import PROJECT
from flows.services.model_servers import socket_path
from flows.services.service_files import SupervisorStatus, read_status
from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from storage.process_id import process_id
from storage.stages import Stage

POLL_S = 0.05
COMMAND_S = 600.0
"""Seconds that one command may take on a machine that does other things too; idle ones need a tenth."""


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    """Standard output and error together."""


class Running:
    """A command that was started and not waited for; its log begins with its command line."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.pid = process.pid
        self._process, self._log = process, log

    def wait(self, timeout_s: float = COMMAND_S) -> Done:
        """Its end. Raises `subprocess.TimeoutExpired`."""
        status = self._process.wait(timeout_s)
        _, _, out = self._log.read_text(errors="replace").partition("\n")
        return Done(status, out)

    def is_over(self) -> bool:
        """True if the process has ended."""
        return self._process.poll() is not None

    def kill(self) -> Done:
        """SIGKILL to this process alone."""
        self._process.kill()
        return self.wait()


@dataclass(frozen=True)
class Stack:
    """A running stack, and the configuration file that every run of these tests starts from."""

    home: Path
    config: Path

    @cached_property
    def loop(self) -> LoopConfig:
        """The configuration, loaded."""
        return load_config(self.config)

    def rl_loop(self, *arguments: object, failpoint: str = "") -> Done:
        """`rl-loop ...` to its end."""
        with self.started(*arguments, failpoint=failpoint) as command:
            return command.wait()

    @contextmanager
    def started(self, *arguments: object, failpoint: str = "") -> Generator[Running]:
        """`rl-loop ...` beside the test, which ends it at the latest at the end of the block."""
        environment = os.environ | {"RL_LOOP_FAILPOINT": failpoint}
        with self._started([sys.executable, "-m", "flows.cli", *map(str, arguments)], environment) as command:
            yield command

    def prefect(self, *arguments: object) -> Done:
        """`prefect ...` to its end, after `eval "$(rl-loop env)"`."""
        with self.prefect_started(*arguments) as command:
            return command.wait()

    @contextmanager
    def prefect_started(self, *arguments: object, **variables: str) -> Generator[Running]:
        """`prefect ...` beside the test, as `started`, with environment variables of its own."""
        line = self.rl_loop("env", "-c", self.config).out.strip()
        name, _, value = line.removeprefix("export ").partition("=")
        environment = os.environ | {name: value, "PREFECT_HOME": str(self.home / "prefect")} | variables
        with self._started([sys.executable, "-m", "prefect", *map(str, arguments)], environment) as command:
            yield command

    def example(self, name: str, *arguments: object) -> Done:
        """A program of examples/ to its end."""
        command = [sys.executable, "-m", f"examples.{name}", *map(str, arguments)]
        with self._started(command, dict(os.environ)) as running:
            return running.wait()

    @contextmanager
    def _started(self, command: list[str], environment: dict[str, str]) -> Generator[Running]:
        logs = self.home / "commands"
        logs.mkdir(exist_ok=True)
        path = logs / f"{len(list(logs.iterdir())):03d}.log"
        with path.open("wb") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        with process:
            try:
                yield Running(process, path)
            finally:
                if process.poll() is None:
                    process.kill()

    def folder(self, run: str) -> RunFolder:
        """A run's folder."""
        return RunFolder.open(self.loop.runs_dir / run)

    def status(self) -> SupervisorStatus:
        """The supervisor's current status."""
        status = read_status(self.loop.services.state_dir)
        assert status is not None, "there is no services.json"
        return status

    def service(self, name: str) -> psutil.Process:
        """The leader of a service's process group."""
        identity = self.status().service(name).process
        assert identity is not None, f"{name} was never started"
        return psutil.Process(identity.pid)

    def chromium(self) -> list[psutil.Process]:
        """Chromium's browser process below the browser service, with the shell script that some systems start it by."""
        family = self.service("browser").children(recursive=True)
        lines = {process: _line(process) for process in family}
        return [
            process
            for process, line in lines.items()
            if any(word == "--remote-debugging-pipe" for word in line)
            and not any(word.startswith("--type=") for word in line)
        ]


def served_version(stack: Stack) -> str:
    """The version that vLLM reports, an empty string while it does not answer."""
    transport = httpx.HTTPTransport(uds=str(socket_path(stack.loop.services.state_dir)))
    try:
        with httpx.Client(transport=transport, base_url="http://policy", timeout=5.0) as server:
            return str(server.get("/weight_info").json()["weight_version"])
    except httpx.HTTPError:
        return ""


COMPACT_JSON = json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})
"""Constrained replies without optional white space, which the small policy would repeat without end."""


def write_config(folder: Path, **services: object) -> Path:
    """configs/minimal.yaml with everything that it writes in `folder`, free ports, and patience for a busy machine;
    further settings of section `services`."""
    data: dict[str, Any] = yaml.safe_load((PROJECT / "configs/minimal.yaml").read_text())
    data["runs_dir"] = str(folder / "runs")
    data["policy"]["model"] = str(PROJECT / data["policy"]["model"])
    ports = {f"{name}_port": 0 for name in ("prefect", "worker", "mlflow", "browser", "dashboard")}
    data["services"] |= {**ports, "state_dir": str(folder / "state"), "ready_s": 600, "heal_s": 900, **services}
    data["serving"]["start_deadline_s"] = 1_200
    data["serving"]["extra_args"] = ["--structured-outputs-config", COMPACT_JSON]
    path = folder / "loop.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def wait_until(
    what: str, question: Callable[[], object], *, during: Running | None = None, every_s: float = POLL_S
) -> None:
    """Ask until the answer is true; with `during`, only as long as that command runs."""
    deadline = time.monotonic() + COMMAND_S
    while not question():
        assert time.monotonic() < deadline, f"{what} did not happen within {COMMAND_S:.0f} s"
        if during is not None and during.is_over():
            raise AssertionError(f"the command ended before {what}: {during.wait()}")
        time.sleep(every_s)


def collected(root: Path, iteration: int, stage: Stage) -> int:
    """How many trajectories a stage has stored."""
    return len(list((root / "iterations" / f"{iteration:04d}" / stage).glob("*/trajectory.json")))


def kill_flow(root: Path) -> int:
    """SIGKILL to the process that writes a run, which is the flow's. Returns its pid when it is gone."""
    pid = int((root / "lock").read_text())
    assert process_id(pid), f"process {pid} of {root / 'lock'} does not run"
    os.kill(pid, signal.SIGKILL)
    wait_until("the end of the flow's process", lambda: process_id(pid) is None)
    return pid


def updates_of(root: Path) -> list[psutil.Process]:
    """Running update processes of a run."""
    return [
        process
        for process in psutil.process_iter()
        if "training.learning.update" in (line := _line(process)) and str(root / "policies") in line
    ]


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def read_json(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_bytes())
