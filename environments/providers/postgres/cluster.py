"""A private Postgres server of this process: a UNIX socket in a folder of its own, nothing on the network.

Its data lives as long as its owner, in memory if there is room. Durability is off: a start state can be made again.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Self

import asyncpg

from environments.base import EnvironmentBroken
from environments.providers.owners import MARK, Owner, is_orphan
from environments.providers.postgres.programs import PORT, hand_over, identity, make_cluster, server_command
from environments.providers.process.server import tail
from environments.providers.scratch import has_room, is_in_memory, scratch_folder, scratch_folders

FOLDER = "rl-loop-postgres-"
"""Prefix of the clusters' folders; the owner's id follows."""
SOCKET_NAME_BYTES = 107
POLL_S = 0.02
START_DEADLINE_S = 60.0
STOP_S = 5.0
CONNECT_S = 10.0
STATEMENT_S = 30.0
ON_DISK = "disk"
"""Name of the tablespace on disk."""


class Cluster:
    """A Postgres server with its data in a temporary folder. Enter it, then connect to its databases.

    Example:
        async with Cluster(golden=Path("~/.cache/.../data")) as cluster:
            async with cluster.connected("postgres") as connection: ...
    """

    def __init__(self, golden: Path | None = None, *, keep: Path | None = None) -> None:
        """`golden`: data of a cluster that has been shut down, which is copied; None: an empty cluster is made. `keep`:
        folder that gets the data when the server has been shut down in order."""
        self._golden, self._keep = golden, keep
        self._owner = Owner.of_this_process()
        self._folder: Path | None = None
        self._disk: Path | None = None
        self._adding_disk = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Removes clusters of killed owners and starts the server. Raises `EnvironmentBroken`."""
        await asyncio.to_thread(sweep)
        folder = self._folder = scratch_folder(f"{FOLDER}{self._owner}-")
        try:
            await asyncio.to_thread(self._lay_out, folder)
            await self._start(folder)
        except BaseException:
            await asyncio.shield(self.__aexit__())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        process, self._process = self._process, None
        folder, self._folder = self._folder, None
        disk, self._disk = self._disk, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGINT)  # "fast shutdown": clients are disconnected, data is complete
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            if process.returncode is None:
                process.kill()  # its children end when they see that it is gone
                await process.wait()
        if folder is not None:
            if self._keep is not None and process is not None and process.returncode == 0:
                await asyncio.to_thread(shutil.copytree, folder / "data", self._keep)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if disk is not None:
            await asyncio.to_thread(shutil.rmtree, disk, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Folder of the socket, which is the server's address. Raises `EnvironmentBroken` while it does not run."""
        if self._folder is None:
            raise EnvironmentBroken("the Postgres server does not run; enter it with `async with` first")
        return self._folder

    @property
    def data(self) -> Path:
        """Folder of the data."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """Process id of the server. Raises `EnvironmentBroken` while it does not run."""
        if self._process is None:
            raise EnvironmentBroken("the Postgres server does not run; enter it with `async with` first")
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """True while the server runs."""
        return self._process is not None and self._process.returncode is None

    async def clone(self, template: str, name: str) -> None:
        """Makes a database as a copy of one that nobody is connected to. Raises `EnvironmentBroken`.

        Files are copied, by way of neither the write-ahead log nor the shared buffers: in memory that is three times as
        fast. A server whose data is in memory makes it on disk once memory is short.
        """
        async with self.connected("postgres") as connection:
            # Older servers know no other way to copy.
            how = " STRATEGY file_copy" if connection.get_server_version().major >= 15 else ""
            if is_in_memory(self.folder) and not has_room():
                how += f" TABLESPACE {await self._tablespace(connection)}"
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{how}')

    async def drop(self, name: str) -> None:
        """Removes a database and disconnects its clients; none is needed. Raises `EnvironmentBroken`."""
        async with self.connected("postgres") as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @contextlib.asynccontextmanager
    async def connected(self, database: str) -> AsyncGenerator[asyncpg.Connection]:
        """A connection to a database. Raises `EnvironmentBroken` if there is none within `CONNECT_S` seconds."""
        connection = await self.connect(database)
        try:
            yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise EnvironmentBroken(f"the database {database!r}: {type(error).__name__}: {error}") from error
        finally:
            with contextlib.suppress(Exception):  # a connection that is broken already can't be closed in order
                await connection.close(timeout=2)

    async def connect(self, database: str) -> asyncpg.Connection:
        """A connection that the caller closes. Raises as `connected` does."""
        folder = str(self.folder)
        if not self.is_alive:
            raise EnvironmentBroken(f"the Postgres server has died: {tail(Path(folder) / 'server.log')}")
        try:
            return await asyncpg.connect(
                host=folder,
                port=PORT,
                user="postgres",
                database=database,
                timeout=CONNECT_S,
                command_timeout=STATEMENT_S,
                statement_cache_size=0,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise EnvironmentBroken(f"no connection to the database {database!r}: {error or 'no answer'}") from error

    async def _tablespace(self, connection: asyncpg.Connection) -> str:
        """Name of the tablespace on disk, which is made when it is first needed."""
        async with self._adding_disk:
            if self._disk is None:
                self._disk = scratch_folder(f"{FOLDER}{self._owner}-", on_disk=True)
                hand_over(self._disk)
            spaces = "SELECT count(*) FROM pg_tablespace WHERE spcname = $1"
            if not await connection.fetchval(spaces, ON_DISK):
                await connection.execute(f"CREATE TABLESPACE {ON_DISK} LOCATION '{self._disk}'")
            return ON_DISK

    def _lay_out(self, folder: Path) -> None:
        socket = folder / f".s.PGSQL.{PORT}"
        if len(os.fsencode(socket)) > SOCKET_NAME_BYTES:
            raise EnvironmentBroken(f"the socket's path {socket} is too long for UNIX; set TMPDIR to a shorter folder")
        if self._golden is None:
            hand_over(folder)
            make_cluster(folder / "data")
            return
        try:
            shutil.copytree(self._golden, folder / "data")
        except OSError as error:
            raise EnvironmentBroken(f"the data in {self._golden} can't be copied to {folder}: {error}") from error
        (folder / "data").chmod(0o700)
        hand_over(folder)

    async def _start(self, folder: Path) -> None:
        with (folder / "server.log").open("wb") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *server_command(folder / "data", socket_folder=folder),
                    cwd="/",
                    env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", MARK: str(self._owner)},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    **identity(),
                )
            except OSError as error:
                raise EnvironmentBroken(f"the Postgres server can't be started: {error.strerror}") from None
        until = time.monotonic() + START_DEADLINE_S
        while True:
            try:
                await (await self.connect("postgres")).close(timeout=2)
            except EnvironmentBroken:
                if not self.is_alive or time.monotonic() > until:
                    words = tail(folder / "server.log")
                    raise EnvironmentBroken(f"the Postgres server does not start: {words}") from None
                await asyncio.sleep(POLL_S)
            else:
                return


def sweep() -> int:
    """Kills the servers of killed owners and removes their folders; returns how many there were.

    Postgres overwrites its environment variables, so its own file tells the process. Two sweeps at once do no harm.
    """
    found = 0
    for folder in scratch_folders(FOLDER):
        if is_orphan(folder.name.removeprefix(FOLDER).rpartition("-")[0]):
            found += 1
            _kill(folder)
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _kill(folder: Path) -> None:
    """Kills the server in a folder, if the process with its number is that server."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        if os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGQUIT)  # "immediate shutdown": it ends its children, too
            for _ in range(100):
                if not Path(f"/proc/{pid}/cmdline").exists():
                    return
                time.sleep(POLL_S)
            os.kill(pid, signal.SIGKILL)
