"""A private Postgres server: clones are apart, changes are found, a killed owner leaves nothing."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from environments.base import EnvironmentBroken
from environments.providers import scratch
from environments.providers.owners import Owner, start_of
from environments.providers.postgres.cluster import FOLDER, Cluster, sweep
from environments.providers.postgres.databases import Databases
from environments.providers.postgres.state import Ignored, Snapshot, rows_after, snapshot
from environments.providers.scratch import is_in_memory, scratch_folders
from environments.tasks.changes import Change, changes_between

SCHEMA = """
create table users (id serial primary key, name text not null, seen timestamptz default now());
create table orders (id serial primary key, owner int references users, total numeric(9, 2), note jsonb);
create table tags (tag text);
create table sessions (id text primary key);
insert into users (name) select 'user ' || n from generate_series(1, 500) n;
insert into orders (owner, total, note) select n, n * 1.5, '{"gift": false}' from generate_series(1, 400) n;
insert into tags values ('new'), ('new');
create schema "Old shop"; create table "Old shop".users (id int primary key, name text);
insert into "Old shop".users values (1, 'Bob');
"""
IGNORED = Ignored(("sessions",), ("users.seen",))
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncGenerator[Cluster]:
    async with Cluster() as running:
        async with running.connected("postgres") as connection:
            await connection.execute("create database golden")
        async with running.connected("golden") as connection:
            await connection.execute(SCHEMA)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def start(cluster: Cluster) -> Snapshot:
    return await snapshot(cluster, "golden", IGNORED)


async def changed(cluster: Cluster, name: str, start: Snapshot) -> list[Change]:
    return changes_between(start.rows, await rows_after(cluster, name, start))


async def names(cluster: Cluster) -> set[str]:
    async with cluster.connected("postgres") as connection:
        return {row["datname"] for row in await connection.fetch("select datname from pg_database")}


async def test_every_change_of_every_table_is_found(cluster: Cluster, start: Snapshot) -> None:
    async with Databases(cluster, "golden") as databases, databases.fresh() as name:
        assert await changed(cluster, name, start) == []
        async with cluster.connected(name) as connection:
            await connection.execute(
                "update users set seen = now() - interval '1 day'; insert into sessions values ('x');"
            )
        assert await changed(cluster, name, start) == []
        async with cluster.connected(name) as connection:
            await connection.execute(
                """update users set name = 'Ada' where id = 7; delete from orders where id = 3;
                update orders set note = '{"gift": true}' where id = 4; insert into users (name) values ('new one');
                update "Old shop".users set name = 'Eve';"""
            )
        found = await changed(cluster, name, start)
        assert [(change.path, change.after) for change in found] == [
            ("Old shop.users/1/name", "Eve"),
            ("orders/3", None),
            ("orders/4/note/gift", True),
            ("users/501", {"id": 501, "name": "new one"}),
            ("users/7/name", "Ada"),
        ]
        async with cluster.connected(name) as connection:
            await connection.execute("update users set name = 'user 7' where id = 7; update tags set tag = 'old'")
        assert [change.path for change in await changed(cluster, name, start) if change.path.startswith("tags")] == [
            "tags/new",
            "tags/old",
        ]


async def test_episodes_at_once_never_see_one_another(cluster: Cluster, start: Snapshot) -> None:
    async with Databases(cluster, "golden", spares=3) as databases:

        async def play(number: int) -> list[Change]:
            async with databases.fresh() as name:
                async with cluster.connected(name) as connection:
                    await connection.execute("update users set name = $1 where id = 1", f"episode {number}")
                await asyncio.sleep(0.01)
                return await changed(cluster, name, start)

        found = await asyncio.gather(*(play(number) for number in range(8)))
        assert found == [[Change("users/1/name", "user 1", f"episode {number}")] for number in range(8)]
    assert await names(cluster) == {"postgres", "template0", "template1", "golden"}
    assert await changed(cluster, "golden", start) == []


async def test_a_cancelled_clone_is_dropped(cluster: Cluster) -> None:
    async with Databases(cluster, "golden") as databases:

        async def use() -> None:
            async with databases.fresh():
                await asyncio.sleep(60)

        for delay in (0.0, 0.01, 0.05, 0.4):
            playing = asyncio.create_task(use())
            await asyncio.sleep(delay)
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
    assert await names(cluster) == {"postgres", "template0", "template1", "golden"}


class Notes:
    """State beside a database: a name each. It refuses when it is full."""

    def __init__(self, room: int) -> None:
        self.kept, self._room = set[str](), room

    async def make(self, name: str) -> None:
        if len(self.kept) == self._room:
            raise EnvironmentBroken("no room")
        self.kept.add(name)

    async def drop(self, name: str) -> None:
        self.kept.discard(name)


async def test_what_is_beside_a_database_is_made_and_dropped_with_it(cluster: Cluster) -> None:
    notes = Notes(room=1)
    async with Databases(cluster, "golden", beside=notes) as databases:
        async with databases.fresh() as name:
            assert notes.kept == {name}
            with pytest.raises(EnvironmentBroken, match="no room"):
                async with databases.fresh():
                    pass
            assert notes.kept == {name} and name in await names(cluster)
        assert not notes.kept
    assert await names(cluster) == {"postgres", "template0", "template1", "golden"}


async def test_what_is_missing_is_one_sentence(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Databases(cluster, "nothing") as databases:
        with pytest.raises(EnvironmentBroken, match='template database "nothing" does not exist'):
            async with databases.fresh():
                pass
    with pytest.raises(EnvironmentBroken, match="no connection to the database 'gone'"):
        await cluster.connect("gone")
    with pytest.raises(EnvironmentBroken, match="can't be copied"):
        async with Cluster(Path("/no/such/data")):
            pass
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    with pytest.raises(EnvironmentBroken, match="does not run"):
        _ = Cluster().data


async def test_a_clone_is_made_on_disk_when_memory_is_short(
    cluster: Cluster, start: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def place_of(name: str) -> str:
        spaces = "select spcname from pg_database d join pg_tablespace t on t.oid = d.dattablespace where datname = $1"
        async with cluster.connected("postgres") as connection:
            return await connection.fetchval(spaces, name)

    async with Databases(cluster, "golden") as databases, databases.fresh() as first:
        assert await place_of(first) == "pg_default"
        monkeypatch.setattr(scratch, "KEEP_FREE_MB", 10**9)
        async with databases.fresh() as second, databases.fresh() as third:
            expected = "disk" if is_in_memory(cluster.folder) else "pg_default"
            assert (await place_of(second), await place_of(third)) == (expected, expected)
            async with cluster.connected(second) as connection:
                await connection.execute("update users set name = 'Ada' where id = 7")
            assert [change.after for change in await changed(cluster, second, start)] == ["Ada"]
            assert await changed(cluster, third, start) == []


OWNER = """
import asyncio
from environments.providers import scratch
from environments.providers.owners import Owner
from environments.providers.postgres.cluster import Cluster

async def own():
    async with Cluster() as cluster:
        scratch.KEEP_FREE_MB = 10**9
        await cluster.clone("template0", "overflow")
        print(Owner.of_this_process(), flush=True)
        await asyncio.sleep(60)

asyncio.run(own())
"""


def left_by(owner: str) -> tuple[list[Path], int]:
    """Folders and process of an owner's server."""
    folders = scratch_folders(f"{FOLDER}{owner}-")
    (file,) = [file for folder in folders for file in folder.glob("data/postmaster.pid")]
    return folders, int(file.read_text().split()[0])


def runs(pid: int) -> bool:
    return start_of(pid) is not None


@pytest.mark.chaos
async def test_the_next_start_removes_what_a_killed_owner_left() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parent.parent.parent
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        owner = (await process.stdout.readline()).decode().strip()
    folders, server = left_by(owner)
    assert Owner.parse(owner) and runs(server)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert await asyncio.to_thread(sweep) >= 1
    assert not runs(server)
    assert len(folders) == (2 if is_in_memory(folders[0]) else 1)
    assert scratch_folders(f"{FOLDER}{owner}-") == []
