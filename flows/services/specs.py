"""Specifications of the services: command line, settings, address and health check of each.

Prefect server and worker, MLflow, vLLM on a UNIX socket (no web page can reach it), the browser service, the dashboard; all on
loopback, with all their files in the state directory.
"""

import os
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from flows.services.health import at_each
from flows.services.model_servers import VLLM, ModelServer, model_names, model_servers, socket_path
from flows.services.service_files import ServiceSpec, SupervisorSpec
from flows.settings.loop_config import LoopConfig
from flows.settings.parts import Only
from flows.settings.services_config import LOCAL, ServicesConfig

HOST = "127.0.0.1"

PREFECT, WORKER, MLFLOW, BROWSER, DOOR = "prefect", "worker", "mlflow", "browser", "door"
DASHBOARD = "dashboard"
WORK_POOL = "rl-loop"
"""Name of the work pool in prefect.yaml."""
PORT_KEYS = {
    PREFECT: "prefect_port",
    WORKER: "worker_port",
    MLFLOW: "mlflow_port",
    BROWSER: "browser_port",
    DASHBOARD: "dashboard_port",
    DOOR: "models_port",
}


NOT_VLLMS = {
    *("weight_check", "canary_tolerance"),
    *("start_deadline_s", "publish_deadline_s", "rollback_deadline_s", "publish_order"),
}
"""Settings of section `serving` that are not passed to the server: they may change while it runs."""


PLACES = {PREFECT: "prefect", MLFLOW: "mlflow", BROWSER: "browsers", VLLM: "models"}
"""The services that may be elsewhere, and the key in section `services` that says where."""
HEALTH = {PREFECT: "/api/health", MLFLOW: "/health", BROWSER: "/readyz"}
"""Path that answers 200 when the service is ready."""
ELSEWHERE_READY_S = 30.0
"""Seconds for a service elsewhere to answer, which should be up already."""


def place_of(config: ServicesConfig, name: str) -> str:
    """`local`, or the address of a service that is elsewhere."""
    return getattr(config, PLACES[name]) if name in PLACES else LOCAL


PARTS: dict[Only | None, tuple[str, ...]] = {
    None: (VLLM, PREFECT, WORKER, MLFLOW, BROWSER),
    "browsers": (BROWSER,),
    "models": (VLLM, DOOR),
}
"""The services that a loop, or a machine with one part of them, needs: `rl-loop up`, `rl-loop up --only PART`."""


def needed_here(config: ServicesConfig, only: Only | None = None) -> tuple[str, ...]:
    """The services that must be ready before a loop begins, or that a machine with one part runs."""
    models = (VLLM,) if only else model_names(config)
    return tuple(name for part in PARTS[only] for name in (models if part == VLLM else (part,)))


def names_here(config: ServicesConfig, only: Only | None = None) -> tuple[str, ...]:
    """The services of `rl-loop up [--only PART]`: those that are needed, and the dashboard if it is wanted."""
    # Its packages are an extra of the installation.
    wanted = config.dashboard and not only and find_spec("sqlalchemy") is not None
    return (*needed_here(config, only), *([DASHBOARD] if wanted else []))


def service_specs(
    config: LoopConfig, ports: dict[str, int], working_dir: Path, only: Only | None = None
) -> SupervisorSpec:
    """The command line, address and health check of every service; without a command for those that are elsewhere.

    `only`: the part of the services that this machine runs for others; all of that part are here.
    """
    makers = {
        VLLM: _vllm,
        PREFECT: _prefect,
        WORKER: _worker,
        MLFLOW: _mlflow,
        BROWSER: _browsers,
        DOOR: _near_door,
        DASHBOARD: _dashboard,
    }
    if only:
        config = config.model_copy(
            update={"services": config.services.model_copy(update=dict.fromkeys(PLACES.values(), LOCAL))}
        )
    else:
        config = config.model_copy(update={"services": config.services.model_copy(update={"listen": HOST})})
    far = {one.name: one for one in model_servers(config.services) if one.place != LOCAL}

    def spec(name: str) -> ServiceSpec:
        if name in far:
            return _far_door(config, far[name])
        if place_of(config.services, name) != LOCAL:
            return _elsewhere(config, name)
        return makers[name](config, ports, working_dir)

    services = [spec(name) for name in names_here(config.services, only)]
    return SupervisorSpec(working_dir=str(working_dir), services=services)


def _elsewhere(config: LoopConfig, name: str) -> ServiceSpec:
    place = place_of(config.services, name)
    return ServiceSpec(name=name, address=place, health_url=at_each(place, HEALTH[name]), ready_s=ELSEWHERE_READY_S)


def _prefect(config: LoopConfig, ports: dict[str, int], _: Path) -> ServiceSpec:
    url = prefect_url(config.services, ports)
    return ServiceSpec(
        name=PREFECT,
        command=[
            *(sys.executable, "-m", "flows.services.prefect_server"),
            *("server", "start", "--host", HOST, "--port", str(ports[PREFECT])),
        ],
        env=prefect_environment(config.services.state_dir, url),
        address=url,
        health_url=url + HEALTH[PREFECT],
        ready_s=config.services.ready_s,
    )


def _worker(config: LoopConfig, ports: dict[str, int], working_dir: Path) -> ServiceSpec:
    url = f"http://{HOST}:{ports[WORKER]}"
    environment = prefect_environment(config.services.state_dir, prefect_url(config.services, ports)) | {
        "PREFECT_WORKER_WEBSERVER_HOST": HOST,
        "PREFECT_WORKER_WEBSERVER_PORT": str(ports[WORKER]),
        # Flow processes start in a temporary folder and would import the installed checkout.
        "PYTHONPATH": os.pathsep.join(filter(None, (str(working_dir), os.environ.get("PYTHONPATH")))),
    }
    return ServiceSpec(
        name=WORKER,
        command=[
            *(sys.executable, "-m", "prefect", "worker", "start"),
            *("--pool", WORK_POOL, "--type", "process", "--with-healthcheck"),
        ],
        env=environment,
        address=url,
        health_url=f"{url}/health",
        ready_s=config.services.ready_s,
        after=[PREFECT],
    )


def _mlflow(config: LoopConfig, ports: dict[str, int], _: Path) -> ServiceSpec:
    url, state = f"http://{HOST}:{ports[MLFLOW]}", config.services.state_dir
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(ports[MLFLOW]), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{state}/mlflow.db",
        "--artifacts-destination",
        str(state / "mlartifacts"),
    ]
    return ServiceSpec(
        name=MLFLOW,
        command=[*command, *stores],
        env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"},
        address=url,
        health_url=url + HEALTH[MLFLOW],
        ready_s=config.services.ready_s,
    )


def _browsers(config: LoopConfig, ports: dict[str, int], _: Path) -> ServiceSpec:
    url = f"http://{config.services.listen}:{ports[BROWSER]}"
    address = [
        "--host",
        config.services.listen,
        "--port",
        str(ports[BROWSER]),
        "--slots",
        str(config.services.browser_slots),
    ]
    return ServiceSpec(
        name=BROWSER,
        command=[sys.executable, "-m", "browser_service.cli", "up", *address],
        env={"BROWSER_SERVICE_TRACES": "true"} if config.services.traces else {},
        address=url,
        health_url=url + HEALTH[BROWSER],
        ready_s=config.services.ready_s,
    )


def _dashboard(config: LoopConfig, ports: dict[str, int], _: Path) -> ServiceSpec:
    """The pages over the runs of this configuration, with a worker for rollouts by hand."""
    url, place = f"http://{HOST}:{ports[DASHBOARD]}", place_of(config.services, BROWSER)
    browsers = f"http://{HOST}:{ports[BROWSER]}" if place == LOCAL else place.partition(",")[0]
    command = [sys.executable, "-m", "dashboard", "--runs", str(config.runs_dir), "--browsers", browsers]
    return ServiceSpec(
        name=DASHBOARD,
        command=[*command, "--host", HOST, "--port", str(ports[DASHBOARD])],
        address=url,
        health_url=f"{url}/health",
        ready_s=config.services.ready_s,
    )


def serving_settings(config: LoopConfig) -> tuple[Path, bytes]:
    """vLLM's settings file and its content. Named by a hash of the content, so that new settings change the command."""
    content = config.serving.model_dump_json(indent=1, exclude=NOT_VLLMS).encode()
    return config.services.state_dir / f"serving-{sha256(content).hexdigest()[:12]}.json", content


def _vllm(config: LoopConfig, _: dict[str, int], __: Path) -> ServiceSpec:
    """The specification of vLLM, which listens on its socket."""
    settings = serving_settings(config)[0]
    uds = socket_path(config.services.state_dir)
    return ServiceSpec(
        name=VLLM,
        command=[
            *(sys.executable, "-m", "training.publishing.vllm_server"),
            *("--model", str(config.policy.model), "--uds", str(uds), "--config", str(settings)),
            *(["--traces"] * config.services.traces),
        ],
        address=str(uds),
        health_url="http://policy/health",
        socket=str(uds),
        ready_s=config.serving.start_deadline_s,
    )


def _near_door(config: LoopConfig, ports: dict[str, int], _: Path) -> ServiceSpec:
    """The way in to this machine's vLLM, for the loops of others."""
    services = config.services
    scheme = "https" if services.tls_cert else "http"
    url = f"{scheme}://{services.listen}:{ports[DOOR]}"
    tls = ["--tls-cert", str(services.tls_cert), "--tls-key", str(services.tls_key)] if services.tls_cert else []
    command = [sys.executable, "-m", "flows.services.door", "--side", "near", "--token-env", services.models_token_env]
    address = ["--host", services.listen, "--port", str(ports[DOOR]), "--to-uds", str(socket_path(services.state_dir))]
    return ServiceSpec(
        name=DOOR,
        command=[*command, *address, *tls],
        address=url,
        health_url=f"{url}/health",
        ready_s=config.serving.start_deadline_s,
        after=[VLLM],
    )


def _far_door(config: LoopConfig, server: ModelServer) -> ServiceSpec:
    """The socket of a vLLM that is elsewhere."""
    uds = str(server.socket)
    command = [sys.executable, "-m", "flows.services.door", "--side", "far", "--to-url", server.place, "--uds", uds]
    return ServiceSpec(
        name=server.name,
        command=[*command, "--token-env", config.services.models_token_env],
        address=uds,
        # Not /health, which needs no token: a wrong one is found before a run begins.
        health_url="http://policy/version",
        socket=uds,
        ready_s=ELSEWHERE_READY_S,
    )


def prefect_url(config: ServicesConfig, ports: dict[str, int]) -> str:
    """The address of the Prefect server, here or elsewhere."""
    place = place_of(config, PREFECT)
    return f"http://{HOST}:{ports[PREFECT]}" if place == LOCAL else place


def prefect_environment(state_dir: Path, url: str) -> dict[str, str]:
    """Prefect's settings: all files in the state directory, no telemetry, dead runs noticed within minutes."""
    home = state_dir / "prefect"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "storage"),
        "PREFECT_MEMO_STORE_PATH": str(home / "memo_store.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_PLUGINS_ENABLED": "true",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows",
    }
