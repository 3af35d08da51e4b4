"""Opens the database: SQLite in WAL mode by default, PostgreSQL by address; migrates an older version first."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

BUSY_S = 10.0
"""Seconds that a writer waits for another one."""
CACHE_KB = 8_000
"""Pages that a connection to SQLite keeps. There are up to 15 connections, and the system keeps the file in memory once more."""
WRITER_LOCK = 4_716_053
"""Number of PostgreSQL's advisory lock that a writing transaction has."""
MIGRATIONS = Path(__file__).parent / "migrations"


class DatabaseProblem(RuntimeError):
    """The database can't be opened. The message is one sentence."""


class Database:
    """Sessions on one database. A writing session is one transaction that no other writer can enter."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(writing=True)

    @property
    def is_sqlite(self) -> bool:
        """True for SQLite, which has its own full-text index."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Generator[Session]:
        """A session that changes nothing."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Generator[Session]:
        """A session that is committed in the end, and rolled back by an error."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()


def open_database(url: str, *, version: str = "head") -> Database:
    """Opens the database, made or migrated as needed. `url` is SQLAlchemy's, `version` is for tests of migrations.

    Raises `DatabaseProblem`: not reachable, not an address, or of a newer version of this program.
    """
    try:
        engine = _engine(url)
        with engine.execution_options(writing=True).connect() as connection, connection.begin():
            _migrate(connection, version)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseProblem(f"the database address is not usable ({error}); see --database") from None
    except CommandError as error:
        raise DatabaseProblem(
            f"the database was written by another version of this program ({error}); use that version, or another file"
        ) from None
    except DBAPIError as error:
        raise DatabaseProblem(f"the database can't be opened: {' '.join(str(error.orig).split())}") from None
    return Database(engine)


def sqlite_url(path: Path) -> str:
    """The address of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def newest_version() -> str:
    """The version of the schema that this program has."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = create_engine(parsed, pool_pre_ping=True)
        event.listen(engine, "begin", _begin_postgresql)
        event.listen(engine, "before_cursor_execute", _without_nul, retval=True)
        return engine
    if parsed.get_backend_name() != "sqlite":
        raise DatabaseProblem(f"the database is SQLite or PostgreSQL, not {parsed.get_backend_name()}; see --database")
    engine = create_engine(parsed, connect_args={"timeout": BUSY_S, "check_same_thread": False})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions late, and never as writing ones
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"cache_size=-{CACHE_KB}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another one wrote in between.
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    # One writer at a time, as on SQLite: what a transaction has read is still so when it writes.
    if connection.get_execution_options().get("writing"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_S:.0f}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def _without_nul(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
    """PostgreSQL refuses texts with the character NUL, which pages and answers may have; it is replaced as in `cut`."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\x00", "\ufffd")
        if isinstance(value, dict):
            return {key: clean(one) for key, one in value.items()}
        return type(value)(map(clean, value)) if type(value) in (list, tuple) else value

    return statement, clean(parameters)


def _migrate(connection: Connection, version: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
