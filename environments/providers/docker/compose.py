"""Reads compose files: the services that a rollout needs, as containers. Fields without an equal are refused by name."""

import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.base import EnvironmentBroken
from environments.providers.docker.containers import ContainerSpec

SIZE = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE)
MB = {"": 1 / 1_048_576, "k": 1 / 1_024, "m": 1.0, "g": 1_024.0}


class Service(BaseModel):
    """A service of a compose file."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    image: str
    command: str | list[str] = []
    environment: dict[str, str | int | float | bool | None] | list[str] = {}
    ports: list[str | int] = []
    depends_on: list[str] | dict[str, Any] = []
    mem_limit: str = "1g"
    cpus: Annotated[float, Field(gt=0, le=64)] = 1.0
    read_only: bool = False
    tmpfs: str | list[str] = []
    x_health: Annotated[str, Field(alias="x-health")] = ""
    """Path that answers once the service is ready."""


def read_compose(file: Path) -> list[ContainerSpec]:
    """The services in an order in which each comes after those that it depends on. Raises `EnvironmentBroken`."""
    try:
        data = yaml.safe_load(file.read_text())
        services = {name: Service.model_validate(value) for name, value in data["services"].items()}
    except OSError as error:
        raise EnvironmentBroken(f"{file}: the compose file can't be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EnvironmentBroken(
            f"{file}: {where}: {first['msg']}; remove it, or write the containers in Python"
        ) from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise EnvironmentBroken(f"{file}: expected a compose file with services, found something else") from None
    return [_spec(name, services[name], file) for name in _ordered(services, file)]


def _ordered(services: dict[str, Service], file: Path) -> list[str]:
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path or name not in services:
            raise EnvironmentBroken(f"{file}: depends_on of {path[-1]} names {name}, which is missing or depends on it")
        for other in services[name].depends_on:
            visit(other, (*path, name))
        if name not in done:
            done.append(name)

    for name in services:
        visit(name, ())
    return done


def _spec(name: str, service: Service, file: Path) -> ContainerSpec:
    port = str(service.ports[0]).rpartition(":")[2].removesuffix("/tcp") if service.ports else None
    size = SIZE.fullmatch(service.mem_limit)
    if size is None or (port is not None and not port.isdigit()):
        raise EnvironmentBroken(f"{file}: services.{name}: expected a port such as 80 and mem_limit such as 512m")
    given = service.environment
    pairs = [text.partition("=")[::2] for text in given] if isinstance(given, list) else list(given.items())
    return ContainerSpec(
        name=name,
        image=service.image,
        command=service.command.split() if isinstance(service.command, str) else service.command,
        variables={key: "" if value is None else str(value) for key, value in pairs},
        port=int(port) if port else None,
        health=service.x_health,
        memory_mb=max(6, int(int(size[1]) * MB[size[2].lower()])),
        cpus=service.cpus,
        read_only=service.read_only,
        writable=[service.tmpfs] if isinstance(service.tmpfs, str) else service.tmpfs or ("/tmp", "/run"),
    )
