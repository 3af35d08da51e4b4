"""Options that the commands of the dashboard share, and the end with one sentence."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dashboard.settings import Settings, SettingsProblem, settings_of

Runs = Annotated[Path, typer.Option(help="directory of run folders; it is only read")]
Data = Annotated[Path | None, typer.Option(help="directory of the dashboard's own files; default: RUNS/.dashboard")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="SQLAlchemy address, such as postgresql+psycopg://HOST/NAME; default: a SQLite file in the data"),
]
Config = Annotated[
    Path | None, typer.Option(help="YAML file of environments, models and judges; see docs/dashboard.md")
]
Browsers = Annotated[str | None, typer.Option(help="address of the browser service; default: http://127.0.0.1:7000")]


def settings_or_stop(
    runs: Path,
    data: Path | None,
    database: str | None,
    config: Path | None = None,
    browsers: str | None = None,
) -> Settings:
    """The settings of a command line; ends the program with a sentence when they can't be used."""
    if not runs.is_dir():
        stop(f"there is no directory {runs}; name the one that your runs are in with --runs")
    try:
        return settings_of(runs, data=data, database=database, config=config, browsers=browsers)
    except SettingsProblem as error:
        stop(str(error))


def stop(sentence: str) -> NoReturn:
    """Ends the program with a sentence on stderr and exit status 1."""
    print(f"dashboard: {sentence}", file=sys.stderr)
    raise typer.Exit(1)
