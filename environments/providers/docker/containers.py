"""Containers of one episode: what is wanted, start, health, removal. Blocking: called in threads."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import docker
import httpx
from docker.models.containers import Container
from docker.models.networks import Network

from environments.base import EnvironmentBroken
from environments.providers.docker.engine import GONE, engine_errors
from environments.providers.owners import EPISODE, LABEL

POLL_S = 0.05
LOG_TAIL = 300


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container. Example: `ContainerSpec(name="web", image="shop:1", port=80, health="/")`.

    Containers of an episode find one another by `name`. There is no way out: their network is not translated.
    """

    name: str
    image: str
    command: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    """Port that browsers may reach, given a free port of 127.0.0.1; None for a container behind another, a database."""
    health: str = ""
    """Path that answers with a status below 500 once the container is ready; empty: the image's own health check, or none."""
    memory_mb: int = 1_024
    cpus: float = 1.0
    processes: int = 512
    read_only: bool = True
    """The root file system can't be written; `writable` folders are in memory."""
    writable: Sequence[str] = ("/tmp", "/run")
    start_deadline_s: float = 120.0


@dataclass(frozen=True)
class Running:
    """The containers of an episode by name. The handle of its verifier: it can run a query inside of one."""

    containers: Mapping[str, Container]
    ports: Mapping[str, int]
    """Ports of 127.0.0.1 by container."""

    def run(self, name: str, command: Sequence[str]) -> str:
        """Output of a command inside a container, for an application's `set_up` and `read` (in a thread).

        Raises `EnvironmentBroken` when it fails, or when the container is gone.
        """
        with engine_errors(f"a command in the container {name} can't be run"):
            code, output = self.containers[name].exec_run(list(command))
        text = output.decode(errors="replace")
        if code:
            raise EnvironmentBroken(f"{command[0]} in the container {name} ended with {code}: {text[-LOG_TAIL:]}")
        return text


def start_all(
    engine: docker.DockerClient, specs: Sequence[ContainerSpec], network: Network, labels: Mapping[str, str]
) -> Running:
    """Starts the containers in their order, each when the one before is healthy.

    Raises `EnvironmentBroken`; those that were started are removed then.
    """
    started: dict[str, Container] = {}
    ports: dict[str, int] = {}
    try:
        for spec in specs:
            with engine_errors(f"the container {spec.name} of {spec.image} can't be started"):
                started[spec.name] = _create(engine, spec, network, labels)
                started[spec.name].start()
            ports |= _wait(started[spec.name], spec)
    except BaseException:
        remove_all(started.values())
        raise
    return Running(started, ports)


def _create(engine: docker.DockerClient, spec: ContainerSpec, network: Network, labels: Mapping[str, str]) -> Container:
    settings = engine.api.create_endpoint_config(aliases=[spec.name])
    return engine.containers.create(
        spec.image,
        list(spec.command) or None,
        environment=dict(spec.variables),
        labels=dict(labels),
        network=network.name,
        networking_config={network.name: settings},
        ports={f"{spec.port}/tcp": ("127.0.0.1", None)} if spec.port else {},
        mem_limit=f"{spec.memory_mb}m",
        memswap_limit=f"{spec.memory_mb}m",
        nano_cpus=int(spec.cpus * 1e9),
        pids_limit=spec.processes,
        read_only=spec.read_only,
        tmpfs=dict.fromkeys(spec.writable, "size=64m") if spec.read_only else {},
        cap_drop=["NET_RAW", "SYS_ADMIN", "MKNOD"],
        security_opt=["no-new-privileges"],
        init=False,
        detach=True,
    )


def _wait(container: Container, spec: ContainerSpec) -> dict[str, int]:
    """Waits until the container is healthy; returns its port. Raises `EnvironmentBroken` with the end of its log."""
    until = time.monotonic() + spec.start_deadline_s
    while time.monotonic() < until:
        with engine_errors(f"the container {spec.name} can't be inspected"):
            container.reload()
        if container.status in ("exited", "dead"):
            raise EnvironmentBroken(
                f"the container {spec.name} of {spec.image} ended while it started: {tail(container)}"
            )
        published = container.ports.get(f"{spec.port}/tcp") if spec.port else None
        port = int(published[0]["HostPort"]) if published else 0
        own = ((container.attrs or {}).get("State", {}).get("Health") or {}).get("Status", "healthy")
        if container.status == "running" and (port or not spec.port) and own == "healthy" and _answers(port, spec):
            return {spec.name: port} if port else {}
        time.sleep(POLL_S)
    deadline = f"{spec.start_deadline_s:g} s"
    raise EnvironmentBroken(
        f"the container {spec.name} of {spec.image} was not healthy within {deadline}: {tail(container)}"
    )


def _answers(port: int, spec: ContainerSpec) -> bool:
    if not spec.health or not port:
        return True
    try:
        return httpx.get(f"http://127.0.0.1:{port}{spec.health}", timeout=2.0, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


def tail(container: Container) -> str:
    """The end of a container's log in one line."""
    with engine_errors("the log can't be read"):
        return " ".join(container.logs(tail=20).decode(errors="replace")[-LOG_TAIL:].split()) or "its log is empty"


def remove_all(containers: Iterable[Container]) -> None:
    """Removes containers with their anonymous volumes; those that are gone already are skipped."""
    for container in containers:
        try:
            with engine_errors("a container can't be removed"):
                container.remove(force=True, v=True)
        except EnvironmentBroken as error:
            if not isinstance(error.__context__, GONE) and "in progress" not in str(error):
                raise


def labels_of(owner: object, trajectory_id: str) -> dict[str, str]:
    """Labels by which a sweep finds what is an owner's, and a person what is an episode's."""
    return {LABEL: str(owner), EPISODE: trajectory_id[:200]}
