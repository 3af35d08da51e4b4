"""Settings of the dashboard: command line first, then environment variables, then defaults."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dashboard.database.opening import sqlite_url

SHORTEST_TOKEN = 16
TOKENS = "DASHBOARD_TOKENS"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class SettingsProblem(ValueError):
    """The settings can't be used. The message is one sentence."""


class Settings(BaseModel):
    """Settings of one dashboard, of its server and its worker."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    runs: Path
    """Directory of run folders. It is only read."""
    data: Path
    """Directory of the dashboard's own files: database, rollouts, the worker's lock and log."""
    database: str
    """SQLAlchemy's address of the database."""
    config: Path | None = None
    """The file of `dashboard.worker.config`."""
    browsers: str = "http://127.0.0.1:7000"
    """Address of the browser service."""
    max_workers: Annotated[int, Field(ge=1, le=256)] = 4
    """Rollouts that are played at the same time (MAX_WORKERS)."""
    sql_dump: Path | None = None
    """Dump of the environments `metabase` that name none themselves (SQL_DUMP_PATH)."""
    tokens: dict[str, str] = {}
    """Secrets by the name of their person, who is an admin (DASHBOARD_TOKENS)."""
    prefect_ui: str = "http://127.0.0.1:4200"
    """Address of Prefect's pages, for links (PREFECT_UI_URL, or PREFECT_API_URL without `/api`)."""
    always_login: bool = False
    """People must log in even while there are neither tokens nor users: on other addresses than loopback."""

    @property
    def rollouts(self) -> Path:
        """Folder of the trajectories that were played by hand; a `storage.store.TrajectoryStore`."""
        return self.data / "rollouts"


def settings_of(
    runs: Path,
    *,
    data: Path | None = None,
    database: str | None = None,
    config: Path | None = None,
    browsers: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of a command line, completed from the environment and by defaults. Raises `SettingsProblem`."""
    folder = data or runs / ".dashboard"
    dump = environment.get("SQL_DUMP_PATH")
    if dump and not Path(dump).is_file():
        raise SettingsProblem(f"SQL_DUMP_PATH names {dump}, which is no file; correct it or unset it")
    given = {
        "runs": runs,
        "data": folder,
        "database": database or environment.get("DASHBOARD_DATABASE") or sqlite_url(folder / "dashboard.db"),
        "config": config,
        "browsers": browsers or environment.get("BROWSER_SERVICE_URL"),
        "max_workers": environment.get("MAX_WORKERS") or None,
        "sql_dump": dump or None,
        "prefect_ui": environment.get("PREFECT_UI_URL") or environment.get("PREFECT_API_URL", "").removesuffix("/api"),
        "tokens": tokens_of(environment.get(TOKENS, "")),
    }
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value not in (None, "")})
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsProblem(f"{'.'.join(map(str, first['loc'])).upper()}: {first['msg']}") from None


def tokens_of(text: str) -> dict[str, str]:
    """The tokens of DASHBOARD_TOKENS, `name=secret` separated by commas. Raises `SettingsProblem`; never tells a secret."""
    tokens: dict[str, str] = {}
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, equals, secret = part.partition("=")
        if not equals or not name or len(secret) < SHORTEST_TOKEN:
            raise SettingsProblem(
                f"{TOKENS}: part {number} is not name=secret with a secret of at least {SHORTEST_TOKEN} characters"
            )
        tokens[name.strip()] = secret
    return tokens


def check_host(host: str, *, can_log_in: bool) -> None:
    """Refuses to serve other machines without log-in. Raises `SettingsProblem`."""
    if host not in LOOPBACK and not can_log_in:
        raise SettingsProblem(
            f"--host {host} can be reached from other machines, so people must log in: add a user with "
            f"`python -m dashboard users add NAME --role admin`, or set {TOKENS}=name=secret (secrets of at least "
            f"{SHORTEST_TOKEN} characters), or leave --host out"
        )
