"""Specifications of the services: command line, settings, address and health check of each.

Prefect server and worker, MLflow, vLLM on a UNIX socket (no web page can reach it), the browser service; all on
loopback, with all their files in the state directory.
"""

import os
import socket
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import psutil

from flows.services.supervisor import ServiceSpec, SupervisorSpec
from flows.settings.loop_config import LoopConfig, ServicesConfig
from storage.errors import ServicesError

HOST = "127.0.0.1"
MAX_SOCKET_PATH = 100
"""Bytes; the kernel allows 107 in the address of a UNIX socket."""

PREFECT, WORKER, MLFLOW, VLLM, BROWSER = "prefect", "worker", "mlflow", "vllm", "browser"
WORK_POOL = "rl-loop"
"""Name of the work pool in prefect.yaml."""
PORT_KEYS = {PREFECT: "prefect_port", WORKER: "worker_port", MLFLOW: "mlflow_port", BROWSER: "browser_port"}


NOT_VLLMS = {
    *("weight_check", "canary_tolerance"),
    *("start_deadline_s", "publish_deadline_s", "rollback_deadline_s"),
}
"""Settings of section `serving` that are not passed to the server: they may change while it runs."""


def service_specs(config: LoopConfig, ports: dict[str, int], working_dir: Path) -> SupervisorSpec:
    """The command line, address and health check of every service."""
    services, state = config.services, config.services.state_dir
    prefect_env = prefect_environment(state, ports[PREFECT])
    prefect_url, mlflow_url, browser_url = (f"http://{HOST}:{ports[name]}" for name in (PREFECT, MLFLOW, BROWSER))
    return SupervisorSpec(
        working_dir=str(working_dir),
        services=[
            _vllm(config),
            ServiceSpec(
                name=PREFECT,
                command=[
                    *(sys.executable, "-m", "flows.services.prefect_server"),
                    *("server", "start", "--host", HOST, "--port", str(ports[PREFECT])),
                ],
                env=prefect_env,
                address=prefect_url,
                health_url=f"{prefect_url}/api/health",
                ready_s=services.ready_s,
            ),
            ServiceSpec(
                name=WORKER,
                command=[
                    *(sys.executable, "-m", "prefect", "worker", "start"),
                    *("--pool", WORK_POOL, "--type", "process", "--with-healthcheck"),
                ],
                env=prefect_env
                | {
                    "PREFECT_WORKER_WEBSERVER_HOST": HOST,
                    "PREFECT_WORKER_WEBSERVER_PORT": str(ports[WORKER]),
                    # Flow processes start in a temporary folder and would import the installed checkout.
                    "PYTHONPATH": os.pathsep.join(filter(None, (str(working_dir), os.environ.get("PYTHONPATH")))),
                },
                address=f"http://{HOST}:{ports[WORKER]}",
                health_url=f"http://{HOST}:{ports[WORKER]}/health",
                ready_s=services.ready_s,
                after=[PREFECT],
            ),
            ServiceSpec(
                name=MLFLOW,
                command=_mlflow_command(state, ports[MLFLOW]),
                env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"},
                address=mlflow_url,
                health_url=f"{mlflow_url}/health",
                ready_s=services.ready_s,
            ),
            ServiceSpec(
                name=BROWSER,
                command=_browser_command(services.browser_slots, ports[BROWSER]),
                address=browser_url,
                health_url=f"{browser_url}/readyz",
                ready_s=services.ready_s,
            ),
        ],
    )


def serving_settings(config: LoopConfig) -> tuple[Path, bytes]:
    """vLLM's settings file and its content. Named by a hash of the content, so that new settings change the command."""
    content = config.serving.model_dump_json(indent=1, exclude=NOT_VLLMS).encode()
    return config.services.state_dir / f"serving-{sha256(content).hexdigest()[:12]}.json", content


def _vllm(config: LoopConfig) -> ServiceSpec:
    """The specification of vLLM, which listens on its socket."""
    settings, _ = serving_settings(config)
    uds = socket_path(config.services.state_dir)
    return ServiceSpec(
        name=VLLM,
        command=[
            *(sys.executable, "-m", "training.publishing.vllm_server"),
            *("--model", str(config.policy.model), "--uds", str(uds), "--config", str(settings)),
        ],
        address=str(uds),
        health_url="http://policy/health",
        socket=str(uds),
        ready_s=config.serving.start_deadline_s,
    )


def _mlflow_command(state: Path, port: int) -> list[str]:
    artifacts = state / "mlartifacts"
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    return [*command, "--backend-store-uri", f"sqlite:///{state}/mlflow.db", "--artifacts-destination", str(artifacts)]


def _browser_command(slots: int, port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "browser_service.cli",
        "up",
        "--host",
        HOST,
        "--port",
        str(port),
        "--slots",
        str(slots),
    ]


def prefect_environment(state_dir: Path, port: int) -> dict[str, str]:
    """Prefect's settings: all files in the state directory, no telemetry, dead runs noticed within minutes."""
    home = state_dir / "prefect"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
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


def socket_path(state_dir: Path) -> Path:
    """The path of vLLM's socket: in the state directory, or in a short temporary one if that path is too long."""
    inside = state_dir / "vllm.sock"
    if len(os.fsencode(inside)) < MAX_SOCKET_PATH:
        return inside
    short = Path(tempfile.gettempdir()) / f"rl-loop-{sha256(os.fsencode(state_dir)).hexdigest()[:12]}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise ServicesError(f"{short} belongs to another user; choose a shorter services.state_dir")
    return short / "vllm.sock"


def choose_ports(config: ServicesConfig) -> dict[str, int]:
    """A port for each service. Raises `ServicesError` naming the process that holds a configured one."""
    ports: dict[str, int] = {}
    for name, key in PORT_KEYS.items():
        wanted: int = getattr(config, key)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, wanted))
            except OSError:
                raise ServicesError(
                    f"port {wanted} is in use by {_holder(wanted)}; stop it or set services.{key}=... (0 picks a free port)"
                ) from None
            ports[name] = probe.getsockname()[1]
    return ports


def _holder(port: int) -> str:
    """The process that listens on a port, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another process"
