"""Places that are a pair of containers: Postgres with the dump's content, and the application that is pointed at it.

rollout-pg-<id>   the dump's image (providers/docker/dumps.py), no published port
rollout-mb-<id>   the application, on 127.0.0.1:3001 and further
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import docker

from environments.applications.metabase.config import MetabaseConfig
from environments.base import EnvironmentBroken, Place
from environments.providers.docker.containers import ContainerSpec, Running
from environments.providers.docker.dumps import PASSWORD, RESTORE_DEADLINE_S, USER, Dump, has_image, restored
from environments.providers.docker.dumps import PORT as POSTGRES_PORT
from environments.providers.docker.engine import connect
from environments.providers.docker.provider import Containers
from environments.providers.docker.sweep import sweep
from environments.providers.owners import Owner

POSTGRES, METABASE = "pg", "mb"
"""Roles, and host names of the containers for one another."""
PORT = 3_000
"""Port of the application in its container."""
HEALTH = "/api/health"


class Pairs:
    """A pair for each episode. Implements `environments.base.Provider`; the handle is `Running`.

    Example: `Pairs(MetabaseConfig(image="metabase/metabase:v0.53.5.2", dump=Path("metabase.dump")))`
    """

    def __init__(self, config: MetabaseConfig, *, engine: str | None = None) -> None:
        """`engine`: address of the Docker engine; None: that of DOCKER_HOST."""
        self._config, self._url = config, engine
        self._containers: Containers | None = None

    async def __aenter__(self) -> Self:
        """Restores the dump where that has not been done yet. Raises `EnvironmentBroken`."""
        specs = await asyncio.to_thread(self._prepare)
        self._containers = Containers(specs, spares=self._config.spares, engine=self._url)
        await self._containers.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        containers, self._containers = self._containers, None
        if containers is not None:
            await containers.__aexit__(*exc)

    @asynccontextmanager
    async def fresh(self, trajectory_id: str) -> AsyncGenerator[Place[Running]]:
        """A fresh pair. Raises `EnvironmentBroken`."""
        if self._containers is None:
            raise RuntimeError("metabase is not running; enter it with `async with` before serving")
        async with self._containers.fresh(trajectory_id) as place:
            yield place

    def _prepare(self) -> list[ContainerSpec]:
        """The pair's containers; their images are there then."""
        check_dump(self._config)
        engine = connect(self._url, deadline_s=RESTORE_DEADLINE_S)
        try:
            sweep(engine)
            check_images(engine, self._config)
            dump = Dump(self._config.dump or Path(), self._config.postgres_image, self._config.database)
            image = restored(engine, Owner.of_this_process(), dump)
        finally:
            engine.close()
        return [
            dump.server(POSTGRES, image, memory_mb=self._config.postgres_memory_mb),
            application(self._config),
        ]


def application(config: MetabaseConfig) -> ContainerSpec:
    """The application's container, with the variables by which Metabase finds its database."""
    own = {
        "MB_DB_TYPE": "postgres",
        "MB_DB_HOST": POSTGRES,
        "MB_DB_PORT": str(POSTGRES_PORT),
        "MB_DB_DBNAME": config.database,
        "MB_DB_USER": USER,
        "MB_DB_PASS": PASSWORD,
        "MB_JETTY_HOST": "0.0.0.0",
        "MB_JETTY_PORT": str(PORT),
        "MB_ANON_TRACKING_ENABLED": "false",
        "MB_CHECK_FOR_UPDATES": "false",
    }
    return ContainerSpec(
        name=METABASE,
        image=config.image,
        variables=own | dict(config.variables),
        port=PORT,
        first_port=config.first_port,
        health=HEALTH,
        memory_mb=config.memory_mb,
        cpus=config.cpus,
        # Metabase's own start script makes a user, and unpacks drivers beside the program.
        read_only=False,
        start_deadline_s=config.start_deadline_s,
    )


def check_ready(config: MetabaseConfig, *, engine: str | None = None) -> str:
    """Checks that the pair can be started, without starting it; returns a line about it. Raises `EnvironmentBroken`."""
    check_dump(config)
    client = connect(engine)
    try:
        check_images(client, config)
    finally:
        client.close()
    return f"{config.image} with {config.postgres_image}"


def check_dump(config: MetabaseConfig) -> None:
    """Raises `EnvironmentBroken` without a dump."""
    if config.dump is None:
        raise EnvironmentBroken("metabase has no dump; name one in environment.metabase.dump, or in SQL_DUMP_PATH")
    if not config.dump.is_file():
        raise EnvironmentBroken(f"environment.metabase.dump: there is no file {config.dump}; correct its path")


def check_images(engine: docker.DockerClient, config: MetabaseConfig) -> None:
    """Raises `EnvironmentBroken` for an image that the engine does not have."""
    for image in (config.image, config.postgres_image):
        if not has_image(engine, image):
            raise EnvironmentBroken(f"the image {image} is missing on this machine; `docker pull {image}` gets it")
