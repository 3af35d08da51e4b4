"""The services of a state directory as files: what `rl-loop up` requests, and how they are.

STATE/spec.json        the requested services, written by `rl-loop up`, read by the supervisor
STATE/services.json    their state, written by the supervisor, read by `rl-loop status`, `down` and the flow
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.errors import ServicesError
from storage.lock import holder_of
from storage.process_id import ProcessId, process_id

LOCK = "supervisor.lock"
"""Lock file held by the supervisor of a state directory; contains its pid."""

State = Literal["waiting", "starting", "ready", "restarting", "stopped", "away"]
"""`away`: a service that runs elsewhere and gives no good answer."""


class ServiceSpec(BaseModel):
    """Start command and health check of one service."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    command: list[str] = []
    """Empty: the service runs elsewhere; it is watched, and never started from here."""
    env: dict[str, str] = {}
    """Added to the supervisor's own environment."""
    address: str
    """Address for users: a URL, or the path of a UNIX socket."""
    health_url: str
    """Answers 200 when the service is ready; with `socket` the host part is ignored. Of several with commas, one suffices."""
    socket: str | None = None
    ready_s: float = 60.0
    """Seconds from the start until it must be ready; then its group is killed and it is restarted."""
    unhealthy_s: float = 60.0
    """Seconds of failed health checks of a service that was ready, after which it is restarted."""
    after: list[str] = []
    """Services that must be ready before this one is started for the first time."""


class SupervisorSpec(BaseModel):
    """Content of spec.json: the services that `rl-loop up` requests."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    working_dir: str
    services: list[ServiceSpec]


class ServiceStatus(BaseModel):
    """The current state of one service."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str
    address: str
    log: str
    state: State = "waiting"
    process: ProcessId | None = None
    ready_after_s: float | None = None
    """Seconds from the latest start to the first passed health check."""
    restarts: int = 0
    message: str = ""
    """Reason of the last restart, in one sentence."""


class SupervisorStatus(BaseModel):
    """Content of services.json."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    supervisor: ProcessId
    services: list[ServiceStatus]

    def service(self, name: str) -> ServiceStatus:
        """The status of one service. Raises KeyError for a name that is not supervised."""
        for status in self.services:
            if status.name == name:
                return status
        raise KeyError(name)


def spec_file(state_dir: Path) -> Path:
    """The file in which `rl-loop up` requests services."""
    return state_dir / "spec.json"


def status_file(state_dir: Path) -> Path:
    """The file in which the supervisor reports the services' states."""
    return state_dir / "services.json"


def read_status(state_dir: Path) -> SupervisorStatus | None:
    """The status written by the latest supervisor of this state directory, None if there never was one.

    Raises `ServicesError` if the file cannot be read or parsed.
    """
    path = status_file(state_dir)
    try:
        return SupervisorStatus.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        from flows.settings.hints import on_services  # reads configurations, which the supervisor does not need

        words = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror or str(error)
        raise ServicesError(
            f"{path} cannot be read ({words}); stop what was started from there with {on_services('down', state_dir)} and "
            f"start it again"
        ) from error


def supervisor_of(state_dir: Path) -> ProcessId | None:
    """The running supervisor of a state directory, found by its lock: it may not have written a status yet."""
    pid = holder_of(state_dir / LOCK)
    return process_id(pid) if pid else None
