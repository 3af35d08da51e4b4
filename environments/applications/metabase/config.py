"""The `metabase` section of an environment: images, dump, ports, limits."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class SignIn(BaseModel):
    """Section `metabase.login`: the account that an episode begins with."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    username: Annotated[str, Field(min_length=1)]
    """As in the dump, such as `ann@example.com`."""
    password_env: Name
    """Environment variable with the password."""


class MetabaseConfig(BaseModel):
    """Section `environment.metabase`.

    Example: `{image: "metabase/metabase:v0.53.5.2", dump: metabase.dump, login: {username: ann@example.com, password_env: PASSWORD}}`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image: Annotated[str, Field(min_length=1, max_length=255)]
    """Image of the application, with its version: that of the dump or a newer one. The engine must have it."""
    postgres_image: Annotated[str, Field(min_length=1, max_length=255)] = "postgres:16"
    """Image of Postgres: the version of the dump or a newer one."""
    dump: Path | None = None
    """Dump of Metabase's own database: a custom-format archive of pg_dump, or SQL, made without `--create`. None: that of
    SQL_DUMP_PATH, in the dashboard."""
    database: Name = "metabase"
    """Name of the database in each Postgres container."""
    first_port: Annotated[int, Field(ge=1, le=65_535)] = 3_001
    """The lowest port of 127.0.0.1 that an episode's Metabase is published on."""
    login: SignIn | None = None
    """The browser is signed in as this user from the first page on; None: it sees the log-in page."""
    variables: dict[Name, str] = {}
    """Further environment variables of Metabase, such as `{JAVA_OPTS: -Xmx1g}`."""
    memory_mb: Annotated[int, Field(ge=64)] = 2_048
    """Memory of the application's container."""
    cpus: Annotated[float, Field(gt=0, le=64)] = 1.0
    """Processors of the application's container."""
    postgres_memory_mb: Annotated[int, Field(ge=64)] = 512
    """Memory of the database's container."""
    start_deadline_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds until `/api/health` must answer."""
    spares: Annotated[int, Field(ge=0, le=24)] = 0
    """Pairs that are started ahead: Metabase takes most of a minute."""

    def below(self, root: Path) -> Self:
        """The section with the path of the dump relative to `root`."""
        if self.dump is None:
            return self
        return self.model_copy(update={"dump": (root / self.dump.expanduser()).absolute()})
