"""A dump of Postgres as a layer of an image: restored once, and every container of the image has a copy of its own.

The image is named by what it is made of, and kept by the engine: a further start, of whatever process, finds it.
"""

import fcntl
import os
import tarfile
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import docker
from docker.errors import ImageNotFound
from docker.models.containers import Container

from environments.base import EnvironmentBroken
from environments.providers.docker.containers import ContainerSpec, Launch, remove_all, start_all
from environments.providers.docker.engine import engine_errors
from environments.providers.docker.networks import Networks
from environments.providers.docker.ports import Ports
from environments.providers.owners import LABEL, Owner

REPOSITORY = "rl-loop-postgres"
"""Name of the images; the tag is the digest of what they are made of."""
DUMP_LABEL = "rl-loop.environment.dump"
"""Label of the images: `docker image prune --all --filter label=rl-loop.environment.dump` removes those that are not in use."""
DATA = "/rl-loop-postgres"
"""Folder of the data. Not the one that the image of Postgres declares as a volume: a volume is no part of a layer."""
USER = PASSWORD = "rollout"
"""Of the database's own superuser. Nothing but the container beside it reaches it."""
PORT = 5432
ARCHIVE = b"PGDMP"
"""First bytes of a custom-format archive of pg_dump; anything else is SQL."""
INSIDE = "/rl-loop.dump"
RESTORE_DEADLINE_S = 1_800
STOP_S = 60
POLL_S = 0.2
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "jit=off")
"""Settings of a server whose data nobody needs after a crash."""
TABLES = "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"


@dataclass(frozen=True)
class Dump:
    """A dump, and the image of Postgres that it is for. Example: `Dump(Path("app.dump"), "postgres:16", "app")`."""

    file: Path
    """SQL, or a custom-format archive of pg_dump, made without `--create`."""
    image: str
    database: str
    """Name of the database that gets its content."""

    def server(self, name: str, image: str, *, memory_mb: int = 512) -> ContainerSpec:
        """The server's container: of the plain image, or of the one with the restored data."""
        return ContainerSpec(
            name=name,
            image=image,
            command=["postgres", *(part for setting in FAST for part in ("-c", setting))],
            variables={
                "POSTGRES_USER": USER,
                "POSTGRES_PASSWORD": PASSWORD,
                "POSTGRES_DB": self.database,
                "PGDATA": DATA,
                "PGPASSWORD": PASSWORD,
            },
            # By the network's address: while it makes its databases, the image's server listens on a UNIX socket alone.
            ready=["pg_isready", "-q", "-h", "127.0.0.1", "-U", USER, "-d", self.database],
            memory_mb=memory_mb,
            read_only=False,
        )


def restored(engine: docker.DockerClient, owner: Owner, dump: Dump) -> str:
    """Name of the image with the dump's content, which is made when it is not there. Blocking.

    `engine`: a connection that waits for an answer as long as a restoration may take. Raises `EnvironmentBroken`.
    """
    with engine_errors(f"the image {dump.image} can't be looked at"):
        key = _digest(dump, str(engine.images.get(dump.image).id))
    name = f"{REPOSITORY}:{key}"
    with _alone(key):
        if not has_image(engine, name):
            _make(engine, owner, dump, key)
    return name


def has_image(engine: docker.DockerClient, name: str) -> bool:
    """True if the engine has the image. Raises `EnvironmentBroken` if it does not answer."""
    with engine_errors(f"the image {name} can't be looked at"):
        try:
            engine.images.get(name)
        except ImageNotFound:
            return False
    return True


def _digest(dump: Dump, image_id: str) -> str:
    found = sha256("\0".join([image_id, dump.database, DATA, USER, PASSWORD]).encode())
    try:
        with dump.file.open("rb") as file:
            while part := file.read(1 << 20):
                found.update(part)
    except OSError as error:
        raise EnvironmentBroken(f"the dump {dump.file} can't be read ({error.strerror}); correct its path") from None
    return found.hexdigest()[:24]


def _make(engine: docker.DockerClient, owner: Owner, dump: Dump, key: str) -> None:
    networks = Networks(engine, owner)
    network = networks.take()
    try:
        launch = Launch(engine, owner, network, Ports(), key)
        running = start_all(launch, [dump.server("restore", dump.image)])
        container = running.containers["restore"]
        try:
            _copy(container, dump.file)
            try:
                running.run("restore", _restoring(dump))
            except EnvironmentBroken as error:
                raise EnvironmentBroken(f"the dump {dump.file} can't be restored by {dump.image}: {error}") from None
            if running.run("restore", [*_client("psql", dump), "-Atc", TABLES]).strip() == "0":
                raise EnvironmentBroken(
                    f"the dump {dump.file} has no tables for the database {dump.database!r}; make it without --create"
                )
            running.run("restore", ["rm", INSIDE])
            with engine_errors("the restored database can't be stored as an image"):
                container.stop(timeout=STOP_S)
                # Without the owner's label, which the image would have from its container.
                container.commit(REPOSITORY, tag=key, changes=f'LABEL {LABEL}="" {DUMP_LABEL}="{dump.database}"')
        finally:
            remove_all([container])
    finally:
        networks.give_back(network)
        networks.close()


def _restoring(dump: Dump) -> Sequence[str]:
    """The command that restores the dump: all of it, or an error."""
    with dump.file.open("rb") as file:
        is_archive = file.read(len(ARCHIVE)) == ARCHIVE
    if is_archive:
        return [*_client("pg_restore", dump), "--no-owner", "--no-acl", "--exit-on-error", INSIDE]
    return [*_client("psql", dump), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", INSIDE]


def _client(program: str, dump: Dump) -> list[str]:
    return [program, "-h", "127.0.0.1", "-U", USER, "-d", dump.database]


def _copy(container: Container, file: Path) -> None:
    """Copies a file into a running container, whatever machine its engine is on."""
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(file, INSIDE.lstrip("/"), filter=_readable)
        packed.seek(0)
        with engine_errors(f"the dump {file} can't be copied into its container"):
            container.put_archive("/", packed)


def _readable(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o644, 0, 0, "", ""
    return member


@contextmanager
def _alone(key: str) -> Generator[None]:
    """Holds the lock of an image, so that it is made once; the system frees it when this process ends."""
    until = time.monotonic() + RESTORE_DEADLINE_S
    with (Path(tempfile.gettempdir()) / f"{REPOSITORY}-{os.getuid()}-{key}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    message = f"another process has not restored the same dump within {RESTORE_DEADLINE_S} s"
                    raise EnvironmentBroken(message) from None
                time.sleep(POLL_S)
        yield
