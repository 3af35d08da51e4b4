"""The rows of a database as a state that is compared before and after an episode.

Every table counts, also those that no task is about: a verifier sees side effects that nobody thought of. Tables whose
digest is that of the template are not read again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

import asyncpg

from environments.providers.postgres.cluster import Cluster

LONGEST_TEXT = 400
"""Characters of a text that are compared as they are; of a longer one the rest is a digest."""
MOST_ROWS = 50_000
"""Rows of a changed table that are read. The rest of it counts as one value."""
TABLES = """
select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name,
       format('%I.%I', n.nspname, c.relname) as source,
       (select array_agg(a.attname::text order by array_position(i.indkey::int2[], a.attnum))
          from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
         where i.indrelid = c.oid and i.indisprimary) as keys,
       (select array_agg(a.attname::text order by a.attnum)
          from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema') and n.nspname !~ '^pg_(toast_)?temp_'
   and c.relkind in ('r', 'p') order by 1
"""
Rows = Mapping[str, Any]


@dataclass(frozen=True)
class Ignored:
    """Tables and columns that change without anybody's doing. Example: `Ignored(("django_session",), ("*.last_login",))`."""

    tables: Sequence[str] = ()
    """Patterns of table names."""
    columns: Sequence[str] = ()
    """Patterns of `table.column`."""

    def has(self, table: str, column: str = "") -> bool:
        """True if the table, or its column, does not count."""
        name, patterns = (f"{table}.{column}", self.columns) if column else (table, self.tables)
        return any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Table:
    """A table that counts. Example: `Table("shop.users", '"shop"."users"', ("id",), ("name", "email"))`."""

    name: str
    """With its schema before it, unless that is `public`."""
    source: str
    """SQL for the table."""
    keys: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def row(self) -> str:
        """SQL for a row as JSON."""
        pairs = ", ".join(f"{_text(column)}, t.{_name(column)}" for column in self.columns[:50])
        more = ", ".join(f"{_text(column)}, t.{_name(column)}" for column in self.columns[50:])
        built = f"jsonb_build_object({pairs})"
        return f"{built} || jsonb_build_object({more})" if more else built

    @property
    def key(self) -> str:
        """SQL for the key of a row: its primary key, or without one the whole row."""
        columns = self.keys or self.columns
        return f"concat_ws(',', {', '.join(f't.{_name(column)}::text' for column in columns)})"

    @property
    def digest(self) -> str:
        """SQL for the number of rows and a digest that does not depend on their order."""
        hashed = f"hashtextextended(({self.row})::text, 0)"
        return (
            f"select {_text(self.name)} as name, count(*) || '/' || coalesce(sum({hashed}::numeric), 0) as digest "
            f"from {self.source} t"
        )


@dataclass
class Snapshot:
    """All rows of a database, with the digests by which another one is compared."""

    tables: list[Table] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Rows] = field(default_factory=dict)
    """Rows by table and key. Example: `{"users": {"1": {"name": "Ada"}}}`."""


async def snapshot(cluster: Cluster, database: str, ignored: Ignored) -> Snapshot:
    """Reads a whole database. Raises `EnvironmentBroken`."""
    async with cluster.connected(database) as connection:
        tables = [
            Table(
                row["name"],
                row["source"],
                tuple(row["keys"] or ()),
                tuple(column for column in row["columns"] or () if not ignored.has(row["name"], column)),
            )
            for row in await connection.fetch(TABLES)
            if not ignored.has(row["name"])
        ]
        tables = [table for table in tables if table.columns]
        return Snapshot(
            tables,
            await _digests(connection, tables),
            {table.name: await _rows(connection, table) for table in tables},
        )


async def rows_after(cluster: Cluster, database: str, start: Snapshot) -> dict[str, Rows]:
    """The rows of a clone of the database that `start` was made of. Raises `EnvironmentBroken`.

    A table that has not changed is the very object of `start`.
    """
    async with cluster.connected(database) as connection:
        digests = await _digests(connection, start.tables)
        changed = [table for table in start.tables if digests.get(table.name) != start.digests[table.name]]
        return start.rows | {table.name: await _rows(connection, table) for table in changed}


async def _digests(connection: asyncpg.Connection, tables: Sequence[Table]) -> dict[str, str]:
    if not tables:
        return {}
    found = await connection.fetch(" union all ".join(table.digest for table in tables))
    return {row["name"]: row["digest"] for row in found}


async def _rows(connection: asyncpg.Connection, table: Table) -> Rows:
    query = f"select {table.key} as key, ({table.row})::text as row from {table.source} t limit {MOST_ROWS + 1}"
    found = await connection.fetch(query)
    rows = {row["key"]: shortened(json.loads(row["row"])) for row in found[:MOST_ROWS]}
    return rows | ({"...": f"more than {MOST_ROWS} rows"} if len(found) > MOST_ROWS else {})


def shortened(value: Any) -> Any:
    """The value, with long texts cut. Their length and a digest of the rest keep a change visible."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}.. ({len(value)} characters, {_hash(value)})"
    if isinstance(value, dict):
        return {name: shortened(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shortened(inner) for inner in value]
    return value


def _hash(text: str) -> str:
    """Eight characters that differ when the text does."""
    return sha256(text.encode()).hexdigest()[:8]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
