"""A loop over three machines, started as docs/scale.md has it.

1  Prefect server, MLflow, the loop (`rl-loop up`)
2  Redis, a master and two nodes with browsers (`browser-service deploy`)
3  vLLM behind its door (`rl-loop up --only models`), and a worker of the pool `gpu`, which makes the updates
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml
from machines import Machine, address_of, machines, python
from real_stack import Running, Stack, wait_until, write_config
from run_outcome import Outcome, outcome, reproducible

from flows.services.prefect_api import PrefectServer
from storage.run_layout import is_run

Started = AbstractContextManager[Running]
POOL, CALM = "gpu", "calm"
PREFECT, MLFLOW = f"http://{address_of(1)}:4200", f"http://{address_of(1)}:5000"
BROWSERS, MODELS = f"http://{address_of(2)}:7000", f"http://{address_of(3)}:8200"
SECRETS = {
    "RL_LOOP_MODELS_TOKEN": "a-token-of-more-than-16-characters",
    "BROWSER_SERVICE_API_KEY": "an-api-key-of-the-three-machines",
}
FOR_PREFECT = {"PREFECT_API_URL": f"{PREFECT}/api", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
FOR_BROWSERS = {
    "BROWSER_SERVICE_ADVERTISE_HOST": address_of(2),
    "BROWSER_SERVICE_EGRESS_ALLOW_PRIVATE": "true",  # the pages are served by machine 1
}


@dataclass(frozen=True)
class MachineStack(Stack):
    """The commands of `Stack` on one of the machines."""

    machine: Machine

    @contextmanager
    def _started(self, command: list[str], environment: dict[str, str]) -> Generator[Running]:
        with self.machine.started(command, RL_LOOP_FAILPOINT=environment.get("RL_LOOP_FAILPOINT", "")) as running:
            yield running


@dataclass(frozen=True)
class Cluster:
    """The three machines with everything running."""

    stack: MachineStack
    """The machine with the loop."""
    browsers: Machine
    models: Machine

    @property
    def loop(self) -> Machine:
        """The machine with Prefect, MLflow and the flow."""
        return self.stack.machine


@contextmanager
def running_cluster() -> Generator[Cluster]:
    """All services up and ready; at the end no process of them is left."""
    with ExitStack() as stack:
        shared, (loop, browsers, models) = stack.enter_context(machines(3, SECRETS))
        for server in (prefect_server(loop), mlflow_server(loop), *browser_service(browsers)):
            stack.enter_context(server)
        first, third = (MachineStack(one.home, write_for(one, shared), one) for one in (loop, models))
        with loop.network():
            wait_until("Prefect", lambda: answers(f"{PREFECT}/api/health"))
        stack.enter_context(update_worker(models))
        with third.started("up", "--only", "models", "-c", third.config, f"services.listen={models.address}") as up:
            with loop.network():
                wait_until("the worker", has_pool, during=up)
                wait_until("MLflow", lambda: answers(f"{MLFLOW}/health"), during=up)
                wait_until("the browsers", lambda: answers(f"{BROWSERS}/readyz"), during=up)
            done = up.wait()
            assert done.status == 0, done.out
        up = first.rl_loop("up", "-c", first.config)
        assert up.status == 0, up.out
        yield Cluster(first, browsers, models)
        for one in (first, third):
            down = one.rl_loop("down", "-c", one.config)
            assert down.status == 0, down.out


def calm_outcome(stack: Stack) -> Outcome:
    """The results of an undisturbed run, which is played once."""
    if not is_run(stack.loop.runs_dir / CALM):
        calm = stack.rl_loop("run", stack.config, "--name", CALM)
        assert calm.status == 0, calm.out
    found = outcome(stack.folder(CALM))
    assert len(found.weights) > 1, "nothing was learned, so that the weights would show nothing"
    return found


def prefect_server(machine: Machine) -> Started:
    """A Prefect server for all machines."""
    command = ["server", "start", "--host", machine.address, "--port", "4200"]
    own = {**FOR_PREFECT, "PREFECT_HOME": str(machine.home / "prefect")}
    return machine.kept(python("flows.services.prefect_server", *command), **own)


def mlflow_server(machine: Machine) -> Started:
    """An MLflow server for all machines."""
    stores = ["--backend-store-uri", f"sqlite:///{machine.home}/mlflow.db"]
    stores += ["--artifacts-destination", str(machine.home / "mlartifacts")]
    listens = ["--host", machine.address, "--port", "5000", "--workers", "1"]
    return machine.kept(python("mlflow", "server", *listens, *stores), MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")


def browser_service(machine: Machine) -> tuple[Started, Started]:
    """Redis, and a master with two nodes."""
    folder = machine.home / "redis"
    folder.mkdir()
    redis = ["redis-server", "--bind", "127.0.0.1", "--port", "6379", "--dir", folder, "--save", ""]
    listens = ["--host", machine.address, "--port", "7000", "--redis", "redis://127.0.0.1:6379"]
    deploy = python("browser_service.cli", "deploy", "--nodes", "2", "--slots", "4", *listens)
    return machine.kept(redis), machine.kept(deploy, **FOR_BROWSERS, BROWSER_SERVICE_STATE_DIR=str(machine.home / "b"))


def update_worker(machine: Machine) -> Started:
    """A worker of the pool that makes the updates."""
    own = {**FOR_PREFECT, "PREFECT_HOME": str(machine.home / "prefect")}
    return machine.kept(python("prefect", "worker", "start", "--pool", POOL, "--type", "process"), **own)


def write_for(machine: Machine, shared: Path) -> Path:
    """The configuration on a machine: the same everywhere, but for the folder of its own services."""
    path = reproducible(write_config(machine.home))
    data = yaml.safe_load(path.read_text())
    data["runs_dir"] = str(shared / "runs")
    data["environment"]["listen"] = address_of(1)
    data["evaluate"]["tasks"] = 4
    places = {"prefect": PREFECT, "mlflow": MLFLOW, "browsers": BROWSERS, "models": MODELS}
    data["services"] |= places | {"models_port": 8200, "update_pool": POOL, "dashboard": False}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def answers(url: str) -> bool:
    """True if a server says that it is well."""
    try:
        return httpx.get(url, timeout=5.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def has_pool() -> bool:
    """True if Prefect knows the worker's pool."""
    with PrefectServer(PREFECT) as server:
        return POOL in server.work_pools()
