"""Starting, finding and stopping the services of one state directory.

Addresses are known from STATE/services.json, which the supervisor keeps; nothing else needs to be configured twice.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.store import write_atomically
from flows.config import LoopConfig
from flows.errors import ServicesError
from flows.processes import ProcessId, marked, stop
from flows.service_specs import PORT_KEYS, choose_ports, service_specs
from flows.supervisor import (
    ServiceStatus,
    SupervisorSpec,
    SupervisorStatus,
    read_status,
    spec_file,
    status_file,
)

SUPERVISOR_STOP_S = 25.0
"""Seconds that the supervisor may take to stop its services; more than a service's own SIGTERM time."""
SWEEP_TERM_S = 5.0
"""Seconds between SIGTERM and SIGKILL for processes that a dead supervisor left behind."""


def is_running(state_dir: Path) -> bool:
    """Whether a supervisor keeps services for this state directory."""
    status = read_status(state_dir)
    return status is not None and status.supervisor.is_alive()


def start(config: LoopConfig, working_dir: Path) -> None:
    """Start the supervisor unless it runs already. Raises `ServicesError` when it runs with other settings or a port is taken."""
    state = config.services.state_dir
    state.mkdir(parents=True, exist_ok=True)
    status = read_status(state)
    if status is not None and status.supervisor.is_alive():
        _check_same(config, working_dir, status)
        return
    sweep(state)
    spec = service_specs(config, choose_ports(config.services), working_dir)
    status_file(state).unlink(missing_ok=True)
    write_atomically(spec_file(state), spec.model_dump_json(indent=1).encode())
    with (state / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "flows.supervisor", str(state)],
            cwd=working_dir,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_ready(
    state_dir: Path,
    names: tuple[str, ...],
    *,
    deadline_s: float,
    watch: Callable[[SupervisorStatus], None] | None = None,
) -> SupervisorStatus:
    """Wait until these services (all, if none is named) are ready; `watch` sees the status about twice a second.

    Raises `ServicesError` saying which service is missing, and the end of its log, after `deadline_s` or two failed starts.
    """
    began = time.monotonic()
    while True:
        status = read_status(state_dir)
        if status is not None:
            if watch:
                watch(status)
            missing = [
                service
                for service in status.services
                if service.state != "ready" and (not names or service.name in names)
            ]
            if not missing:
                return status
            hopeless = [service for service in missing if service.restarts >= 2 and service.ready_after_s is None]
            if hopeless:
                raise ServicesError(_why(hopeless[0], f"did not start ({hopeless[0].message})"))
            if not status.supervisor.is_alive():
                raise ServicesError(
                    f"the supervisor ended while services were starting; see {state_dir / 'supervisor.log'}"
                )
        if time.monotonic() - began > deadline_s:
            if status is None:
                raise ServicesError(
                    f"the supervisor wrote nothing within {deadline_s:.0f} s; see {state_dir / 'supervisor.log'}"
                )
            raise ServicesError(_why(missing[0], f"was not ready within {deadline_s:.0f} s"))
        time.sleep(0.4)


def shut_down(state_dir: Path) -> list[str]:
    """Stop the services of this state directory and nothing else. Returns the names or pids of what was running."""
    status = read_status(state_dir)
    stopped: list[str] = []
    if status is not None:
        stopped = [service.name for service in status.services if service.process and service.process.is_alive()]
        stop([status.supervisor], term_s=SUPERVISOR_STOP_S)
    stopped += [f"process {identity.pid}" for identity in sweep(state_dir)]
    status_file(state_dir).unlink(missing_ok=True)
    return stopped


def sweep(state_dir: Path) -> list[ProcessId]:
    """Stop what a supervisor that was killed left behind. Returns those processes."""
    return stop(marked(state_dir), term_s=SWEEP_TERM_S)


def address_of(state_dir: Path, name: str) -> str:
    """Where a service is. Raises `ServicesError` if nothing was started from this state directory."""
    status = read_status(state_dir)
    if status is None:
        raise ServicesError(f"no services were started from {state_dir}; run `rl-loop up` first")
    return status.service(name).address


def _check_same(config: LoopConfig, working_dir: Path, status: SupervisorStatus) -> None:
    running = SupervisorSpec.model_validate_json(spec_file(config.services.state_dir).read_bytes())
    ports = {name: int(status.service(name).address.rpartition(":")[2]) for name in PORT_KEYS}
    for name, key in PORT_KEYS.items():
        wanted: int = getattr(config.services, key)
        ports[name] = wanted or ports[name]
    asked = service_specs(config, ports, working_dir)
    other = [new.name for new, old in zip(asked.services, running.services, strict=False) if new != old]
    if other or len(asked.services) != len(running.services):
        raise ServicesError(
            f"services are running from {config.services.state_dir} with other settings for {', '.join(other)}; `rl-loop down` first"
        )


def _why(service: ServiceStatus, problem: str) -> str:
    """One sentence about a service that is not ready, with the last words of its log."""
    try:
        lines = [line.strip() for line in Path(service.log).read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    last = f"; its log ends: {lines[-1][:300]}" if lines else ""
    return f"{service.name} {problem}{last} (see {service.log})"


def disk_free_gb(path: Path) -> float:
    """Free space of the file system that a path is or will be on, in GB."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return shutil.disk_usage(existing).free / 1e9
