"""The stack that tests run against, from `rl-loop up` to `rl-loop down`; no process of it may be left then."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
from real_stack import Stack, write_config

from flows.services.processes import marked, stop

SERVICES = ("vllm", "prefect", "worker", "mlflow", "browser", "dashboard")


@contextmanager
def running_stack(home: Path, **services: object) -> Generator[Stack]:
    """The services of `rl-loop up` on free ports, with settings of section `services`; `rl-loop down` in the end."""
    stack = Stack(home, write_config(home, **services))
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
