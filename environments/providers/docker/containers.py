"""Containers of one episode: what is wanted, start, health, removal. Blocking: called in threads."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

import docker
import httpx
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network

from environments.base import EnvironmentBroken
from environments.providers.docker.engine import GONE, engine_errors
from environments.providers.docker.naming import ROLE, another, name_of
from environments.providers.docker.ports import HOST, Ports
from environments.providers.owners import LABEL, Owner

POLL_S = 0.05
LOG_TAIL = 300
CONFLICT = 409
"""Status of the engine for a name that is taken, and for a command in a container that has ended."""


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
    first_port: int | None = None
    """The lowest port of 127.0.0.1 that it is given; None: any free one."""
    health: str = ""
    """Path that answers with a status below 500 once the container is ready; empty: the image's own health check, or none."""
    ready: Sequence[str] = ()
    """Command inside of the container that ends with 0 once it is ready, such as `pg_isready`; empty: none."""
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

    def check_running(self) -> None:
        """Raises `EnvironmentBroken` with the end of its log if a container has ended."""
        for name, container in self.containers.items():
            with engine_errors(f"the container {name} can't be inspected"):
                container.reload()
            if container.status != "running":
                raise EnvironmentBroken(f"the container {name} has died ({container.status}): {tail(container)}")

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


@dataclass(frozen=True)
class Launch:
    """What the containers of one episode are started with."""

    engine: docker.DockerClient
    owner: Owner
    network: Network
    ports: Ports
    episode: str
    """Id of the trajectory, part of the containers' names."""
    cancelled: Event = field(default_factory=Event)
    """Set by who does not want the containers any more."""


def start_all(launch: Launch, specs: Sequence[ContainerSpec]) -> Running:
    """Starts the containers in their order, each when the one before is healthy.

    Raises `EnvironmentBroken`; those that were started are removed then.
    """
    started: dict[str, Container] = {}
    ports: dict[str, int] = {}
    try:
        for spec in specs:
            with engine_errors(f"the container {spec.name} of {spec.image} can't be started"):
                started[spec.name] = _start(launch, spec, ports)
            ports |= _wait(started[spec.name], spec, launch.cancelled)
    except BaseException:
        remove_all(started.values())
        give_back(launch.ports, specs, ports)
        raise
    return Running(started, ports)


def give_back(pool: Ports, specs: Sequence[ContainerSpec], ports: Mapping[str, int]) -> None:
    """Gives the ports back that containers, now removed, were published on."""
    for spec in specs:
        if spec.first_port and spec.name in ports:
            pool.give_back(ports[spec.name])


def _start(launch: Launch, spec: ContainerSpec, ports: dict[str, int]) -> Container:
    """A started container; the port that was taken for it is put into `ports`."""
    refused: set[int] = set()
    while True:
        if spec.port and spec.first_port:
            ports[spec.name] = launch.ports.take(spec.first_port, refused)
        container = _create(launch, spec, ports.get(spec.name))
        try:
            container.start()
        except BaseException as error:
            remove_all([container])
            port = ports.pop(spec.name, None)
            if port is None or not (isinstance(error, APIError) and _is_port_taken(error)):
                if port is not None:
                    launch.ports.give_back(port)
                raise
            # Somebody took it after it was found free, or the engine holds it without listening.
            launch.ports.give_back(port)
            refused.add(port)
        else:
            return container


def _is_port_taken(error: APIError) -> bool:
    return any(sign in str(error) for sign in ("already allocated", "already in use"))


def _create(launch: Launch, spec: ContainerSpec, port: int | None) -> Container:
    settings = launch.engine.api.create_endpoint_config(aliases=[spec.name])

    def create(name: str) -> Container:
        return launch.engine.containers.create(
            spec.image,
            list(spec.command) or None,
            name=name,
            environment=dict(spec.variables),
            labels={LABEL: str(launch.owner), ROLE: spec.name},
            network=launch.network.name,
            networking_config={launch.network.name: settings},
            ports={f"{spec.port}/tcp": (HOST, port)} if spec.port else {},
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

    name = name_of(spec.name, launch.episode)
    try:
        return create(name)
    except APIError as error:
        if error.status_code != CONFLICT:
            raise
        return create(another(name))


def rename(running: Running, episode: str) -> None:
    """Gives containers that waited the names of an episode. Raises `EnvironmentBroken`."""
    for role, container in running.containers.items():
        name = name_of(role, episode)
        with engine_errors(f"the container {role} can't be renamed"):
            try:
                container.rename(name)
            except APIError as error:
                if error.status_code != CONFLICT:
                    raise
                container.rename(another(name))


def _wait(container: Container, spec: ContainerSpec, cancelled: Event) -> dict[str, int]:
    """Waits until the container is healthy; returns its port. Raises `EnvironmentBroken` with the end of its log."""
    until = time.monotonic() + spec.start_deadline_s
    while time.monotonic() < until:
        if cancelled.is_set():
            raise EnvironmentBroken(f"the start of the container {spec.name} was cancelled")
        with engine_errors(f"the container {spec.name} can't be inspected"):
            container.reload()
        if container.status in ("exited", "dead"):
            raise EnvironmentBroken(
                f"the container {spec.name} of {spec.image} ended while it started: {tail(container)}"
            )
        published = container.ports.get(f"{spec.port}/tcp") if spec.port else None
        port = int(published[0]["HostPort"]) if published else 0
        own = ((container.attrs or {}).get("State", {}).get("Health") or {}).get("Status", "healthy")
        is_up = container.status == "running" and (port or not spec.port) and own == "healthy"
        if is_up and _answers(port, spec) and _is_ready(container, spec):
            return {spec.name: port} if port else {}
        time.sleep(POLL_S)
    deadline = f"{spec.start_deadline_s:g} s"
    raise EnvironmentBroken(
        f"the container {spec.name} of {spec.image} was not healthy within {deadline}: {tail(container)}"
    )


def _is_ready(container: Container, spec: ContainerSpec) -> bool:
    if not spec.ready:
        return True
    try:
        return container.exec_run(list(spec.ready)).exit_code == 0
    except APIError as error:
        if error.status_code in (CONFLICT, 404):  # it has just ended: the next look says so
            return False
        with engine_errors(f"{spec.ready[0]} in the container {spec.name} can't be run"):
            raise


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
