"""Section `services` of the configuration: where each service is, its port, and how long it is waited for."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from flows.settings.section import Section

Port = Annotated[int, Field(ge=0, le=65_535, description="0 picks a free port")]
LOCAL = "local"
"""The place of a service that `rl-loop up` starts."""


def _at(value: str) -> str:
    """Checks where a service is: `local`, or one or several http(s) addresses. Raises ValueError."""
    parts = [part.strip().rstrip("/") for part in value.split(",")]
    if parts == [LOCAL]:
        return LOCAL
    for part in parts:
        address = urlsplit(part)
        if address.scheme not in ("http", "https") or not address.hostname or address.username or address.password:
            raise ValueError(
                f"expected local, or an address such as https://10.0.0.7:4200 (secrets go into environment variables), found {part!r}"
            )
    return ",".join(parts)


RunEvent = Literal["iteration-finished", "policy-published", "stage-failed", "judge-alarm", "update-alarm", "run-ended"]
"""An event that a webhook can be called for."""
Place = Annotated[str, AfterValidator(_at)]


def _joined(value: Any) -> Any:
    """A list of addresses as the text with commas that it stands for."""
    is_list = isinstance(value, list | tuple) and all(isinstance(part, str) for part in value)
    return ",".join(value) if is_list else value


Places = Annotated[str, BeforeValidator(_joined), AfterValidator(_at)]
"""One place or several, as a list or as a text with commas."""


class ServicesConfig(Section):
    """Settings of the services that `rl-loop up` starts. Not part of a run's identity: a resume may use other ports."""

    prefect: Place = LOCAL
    """`local`: started by `rl-loop up`; or the URL of a Prefect server (without /api). PREFECT_API_KEY or
    PREFECT_API_AUTH_STRING of the environment is sent. The worker is always started here."""
    mlflow: Place = LOCAL
    """`local`, or the URL of an MLflow server. MLFLOW_TRACKING_TOKEN, or _USERNAME and _PASSWORD, are sent."""
    browsers: Places = LOCAL
    """`local`, or the URL of a browser service, of several masters as a list. BROWSER_SERVICE_API_KEY is sent."""

    models: Places = LOCAL
    """`local`, or the URL of the door of a vLLM that `rl-loop up --only models` runs on another machine, or a list of such
    URLs: every policy is published to all of them, and episodes are spread over them. The folder of runs must be the same
    path on all machines, because weights are loaded from it."""
    models_token_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] = "RL_LOOP_MODELS_TOKEN"
    """Name of the environment variable with the door's token, on both machines."""
    listen: str = "127.0.0.1"
    """Address on which `rl-loop up --only browsers|models` listens for other machines."""
    tls_cert: Path | None = None
    """Certificate (PEM) of the door that `rl-loop up --only models` opens, with `tls_key`; null: plain HTTP."""
    tls_key: Path | None = None
    """Key (PEM) of `tls_cert`."""

    state_dir: Path = Path(".rl-loop")
    """Logs, databases and sockets of the services."""
    prefect_port: Port = 4200
    worker_port: Port = 0
    """Port of the Prefect worker's health check."""
    mlflow_port: Port = 5000
    browser_port: Port = 7000
    dashboard: bool = True
    """Run the dashboard over `runs_dir` beside the other services; a loop goes on without it."""
    dashboard_port: Port = 8100
    models_port: Port = 8200
    """Port of the door of `rl-loop up --only models`."""
    browser_slots: Annotated[int, Field(ge=1, le=256)] = 8
    """Browser sessions at the same time."""
    ready_s: Annotated[float, Field(gt=0)] = 300.0
    """Seconds that a service may take to start; vLLM has `serving.start_deadline_s`."""
    heal_s: Annotated[float, Field(gt=0)] = 600.0
    """Seconds that a stage waits for the supervisor to restart a lost service."""
    rank_pool: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    """Work pool whose workers play the ranks of `rollout.ranks: workers`, in containers or a cluster for instance; it must exist
    (docs/scale.md). null: the pool `rl-loop`, whose worker `rl-loop up` starts. Read by `rl-loop up`."""
    traces: bool = False
    """Send OpenTelemetry spans of runs, browsers and models, as the OTEL_* environment variables say (docs/traces.md). Read by
    `rl-loop up` and by each run."""
    update_pool: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    """Work pool whose worker makes the policy updates, on a machine with GPUs for instance; it must exist, and the folder of
    runs must be the same path there (docs/scale.md). null: the loop's own machine. Not for `run --no-prefect`."""
    resume_lost: Annotated[int, Field(ge=0, le=100)] = 0
    """Times in succession, without a finished stage in between, that a run whose process was lost is started again by
    itself; 0: it is marked as crashed, and `rl-loop resume` goes on with it."""
    notify_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
    """Name of the environment variable that has the address of a webhook; null: no notifications. Read by `rl-loop up`."""
    notify_on: Annotated[tuple[RunEvent, ...], Field(min_length=1)] = ("stage-failed", "judge-alarm", "run-ended")
    """The events that the webhook is called for."""
    owner_wait_s: Annotated[float, Field(ge=0)] = 0.0
    """Seconds that a run waits for another run that owns the served policy; 0: refuse at once, naming the owner."""
    min_free_gb: Annotated[float, Field(ge=0)] = 2.0
    """Free disk space below which nothing is started."""

    @model_validator(mode="after")
    def _fits(self) -> "ServicesConfig":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together; set both or neither")
        twice = [place for place, count in Counter(self.model_places).items() if count > 1]
        if twice:
            raise ValueError(f"models names {twice[0]} twice; each server once")
        return self

    @property
    def model_places(self) -> tuple[str, ...]:
        """Addresses of the model servers; `local` for one that is started here."""
        return tuple(self.models.split(","))
