"""Starts, finds and stops the services of one state directory.

Addresses come from STATE/services.json, which the supervisor writes; nothing else has to be configured twice.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flows.services.ports import choose_ports
from flows.services.processes import marked, stop
from flows.services.service_files import (
    ServiceStatus,
    SupervisorStatus,
    read_status,
    spec_file,
    status_file,
    supervisor_of,
)
from flows.services.specs import service_specs, serving_settings
from flows.services.stack import check_stack, write_stack
from flows.settings.hints import on_services
from flows.settings.loop_config import LoopConfig
from flows.settings.parts import Only
from storage.atomic import write_atomically
from storage.errors import ServicesError
from storage.process_id import ProcessId

SUPERVISOR_STOP_S = 25.0
"""Seconds that the supervisor may take to stop its services; longer than a service's own SIGTERM time."""
HOW_TO_START = "run `rl-loop up` first (with -c FILE for the configuration that names this services.state_dir)"
SWEEP_TERM_S = 5.0
"""Seconds between SIGTERM and SIGKILL for the orphans of a dead supervisor."""


def is_running(state_dir: Path) -> bool:
    """True if a supervisor runs services for this state directory."""
    status = read_status(state_dir)
    return status is not None and status.supervisor.is_alive()


def check_running(state_dir: Path) -> None:
    """Raises `ServicesError` unless services run from this state directory."""
    if not is_running(state_dir):
        raise ServicesError(f"no services were started from {state_dir}; {HOW_TO_START}")


def start(config: LoopConfig, working_dir: Path, only: Only | None = None) -> None:
    """Start the supervisor unless it is running, for all services or the part `only`.

    Raises `ServicesError` when it runs with other settings or another checkout's code, when a port is in use, and when
    the state directory is not writable.
    """
    state = config.services.state_dir
    if _known(state):
        check_stack(config, working_dir)
        return
    sweep(state)
    ports = choose_ports(config.services, only)
    try:
        state.mkdir(parents=True, exist_ok=True)
        config.runs_dir.mkdir(parents=True, exist_ok=True)  # the dashboard reads it from the start
        _launch(config, ports, working_dir, only)
    except OSError as error:
        raise ServicesError(
            f"{state} cannot be written ({error.strerror or error}); choose another services.state_dir"
        ) from error


def _known(state: Path) -> bool:
    """True if a supervisor runs or is starting. A damaged services.json without running services counts as none."""
    try:
        return is_running(state) or supervisor_of(state) is not None
    except ServicesError:
        if supervisor_of(state) is None and not marked(state):
            return False
        raise


def _launch(config: LoopConfig, ports: dict[str, int], working_dir: Path, only: Only | None) -> None:
    state = config.services.state_dir
    _remove_status(state)
    write_atomically(*serving_settings(config))
    spec = service_specs(config, ports, working_dir, only)
    write_atomically(spec_file(state), spec.model_dump_json(indent=1).encode())
    write_stack(config, ports, working_dir)
    with (state / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "flows.services.supervisor", str(state)],
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
    """Wait until these services (all, if none is named) are ready; `watch` receives the status about twice a second.

    Raises `ServicesError` naming the missing service, with the end of its log, after `deadline_s` or two failed starts.
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
            away = [service for service in missing if service.state == "away" and service.message]
            if away:
                raise ServicesError(
                    f"{away[0].name} at {away[0].address} {away[0].message}; is it up, and reachable from here?"
                )
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
    """Stop the services of this state directory and nothing else. Returns the names or pids of the processes that ran.

    A damaged services.json does not matter: the supervisor holds a lock, and its descendants carry an environment mark.
    """
    stopped: list[str] = []
    try:
        status = read_status(state_dir)
    except ServicesError:
        status = None
    supervisor = status.supervisor if status else supervisor_of(state_dir)
    if status is not None:
        stopped = [service.name for service in status.services if service.process and service.process.is_alive()]
    if supervisor is not None:
        stop([supervisor], term_s=SUPERVISOR_STOP_S)
    stopped += [f"process {identity.pid}" for identity in sweep(state_dir)]
    _remove_status(state_dir)
    return stopped


def _remove_status(state_dir: Path) -> None:
    if not status_file(state_dir).exists():  # there is nothing to remove, and the disk may be read-only
        return
    try:
        status_file(state_dir).unlink(missing_ok=True)
    except OSError as error:
        raise ServicesError(
            f"{status_file(state_dir)} cannot be removed ({error.strerror or error}); remove it by hand"
        ) from error


def sweep(state_dir: Path) -> list[ProcessId]:
    """Stop the orphans of a killed supervisor. Returns those processes."""
    return stop(marked(state_dir), term_s=SWEEP_TERM_S)


def address_of(state_dir: Path, name: str) -> str:
    """The address of a service. Raises `ServicesError` if this service was not started from this directory."""
    status = read_status(state_dir)
    if status is None:
        raise ServicesError(f"no services were started from {state_dir}; {HOW_TO_START}")
    try:
        return status.service(name).address
    except KeyError:
        raise ServicesError(
            f"the services of {state_dir} have no {name}; stop them with {on_services('down', state_dir)} and start them again"
        ) from None


def _why(service: ServiceStatus, problem: str) -> str:
    """A sentence about a service that is not ready, with the last line of its log."""
    try:
        lines = [line.strip() for line in Path(service.log).read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    last = f"; its log ends: {lines[-1][:300]}" if lines else ""
    return f"{service.name} {problem}{last} (see {service.log})"


def disk_free_gb(path: Path) -> float:
    """Free space of the file system that holds or will hold a path, in GB."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return shutil.disk_usage(existing).free / 1e9
