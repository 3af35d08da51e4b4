"""One stack for all tests here: started once, stopped at the end; no process of it may be left then."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from real_stack import Stack, write_config
from shared import STACK, shared_by

from flows.services.processes import marked, stop

SERVICES = ("vllm", "prefect", "worker", "mlflow", "browser", "dashboard")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """One stack for all tests here."""
    return shared_by(STACK, "stack", lambda: running_stack(tmp_path_factory.mktemp("stack")))


@contextmanager
def running_stack(home: Path) -> Generator[Stack]:
    """The services of `rl-loop up` on free ports; `rl-loop down` in the end."""
    stack = Stack(home, write_config(home))
    state_dir = stack.loop.services.state_dir
    try:
        up = stack.rl_loop("up", "-c", stack.config)
        assert up.status == 0, up.out
        for name in SERVICES:
            assert f"{name} is ready" in up.out
        yield stack
        supervisor = psutil.Process(stack.status().supervisor.pid)
        family = [supervisor, *supervisor.children(recursive=True)]
        assert any("chromium" in process.name() or "chrome" in process.name() for process in family), family
        down = stack.rl_loop("down", "-c", stack.config)
        assert down.status == 0 and down.out == f"stopped {', '.join(SERVICES)}\n", down.out
        assert [process for process in family if is_alive(process)] == []
        assert marked(state_dir) == []
    finally:
        stop(marked(state_dir), term_s=0)


def is_alive(process: psutil.Process) -> bool:
    """True if a process still runs; a zombie, whose new parent has not reaped it yet, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def runs(stack: Stack) -> Path:
    """The folder of the runs."""
    return stack.loop.runs_dir


@pytest.fixture
def unused(runs: Path) -> Callable[[str], str]:
    """Makes a name that no run has yet: the second try of a test must not meet the run of its first."""

    def name(base: str) -> str:
        taken = len(list(runs.glob(f"{base}*")))
        return f"{base}-{taken + 1}" if taken else base

    return name
