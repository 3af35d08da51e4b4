"""The containers that environments have started, as the engine of this machine sees them: for people who look at them."""

from typing import Any, NamedTuple

from environments.providers.docker.engine import connect, engine_errors
from environments.providers.docker.naming import episode_in
from environments.providers.owners import LABEL

MOST = 1_000


class ContainerLine(NamedTuple):
    """One container. Example: `ContainerLine("rollout-web-3", "shop:1", "running", "Up 5 minutes (healthy)", (49153,), "", 1764000000)`."""

    name: str
    image: str
    state: str
    """`created`, `running`, `exited` .."""
    status: str
    """The engine's sentence, with the health check's result."""
    ports: tuple[int, ...]
    """Published ports of this machine."""
    episode: str
    """Id of the trajectory that it serves; empty for one that waits for the next, or serves several."""
    created: int
    """Seconds since 1970."""


def containers(url: str | None = None) -> list[ContainerLine]:
    """The containers of all owners, newest first. Raises `EnvironmentBroken` when the engine does not answer."""
    engine = connect(url)
    try:
        with engine_errors("the containers can't be listed"):
            found = engine.api.containers(all=True, filters={"label": LABEL}, limit=MOST)
    finally:
        engine.close()
    return [_line(one) for one in found]


def _line(found: dict[str, Any]) -> ContainerLine:
    name = (found.get("Names") or [found.get("Id", "")[:12]])[0].lstrip("/")
    ports = sorted({int(port["PublicPort"]) for port in found.get("Ports") or [] if port.get("PublicPort")})
    return ContainerLine(
        name=name,
        image=found.get("Image", ""),
        state=found.get("State", ""),
        status=found.get("Status", ""),
        ports=tuple(ports),
        episode=episode_in(name, found.get("Labels") or {}),
        created=int(found.get("Created", 0)),
    )
