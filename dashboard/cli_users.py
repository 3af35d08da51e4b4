"""Commands about users: `python -m dashboard users add ann --role admin`. They work while the dashboard runs, and without it."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from dashboard.access import people
from dashboard.access.passwords import BadPassword
from dashboard.access.people import PeopleProblem
from dashboard.access.roles import Role
from dashboard.api.models import iso
from dashboard.cli_options import Data, DatabaseUrl, Runs, settings_or_stop, stop
from dashboard.database.opening import DatabaseProblem, open_database
from dashboard.database.states import audit

users_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who may log in. With the first user everybody has to. A password is asked for, or read from stdin.",
)
BY = "command line"
"""Name in the audit log of who can write the database's files."""
Name = Annotated[str, typer.Argument(help="name of the user")]


@users_app.command("list")
def list_users(runs: Runs = Path("runs"), data: Data = None, database: DatabaseUrl = None) -> None:
    """Print the users with their roles."""
    with _session(runs, data, database) as session:
        for row in people.all_users(session):
            means = "password" if row.password else "tokens only"
            print(f"{row.name}  {row.role}  {means}  since {(iso(row.created_at) or '')[:10]}")


@users_app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer reads, runner also starts and judges, admin also manages users")],
    password: Annotated[bool, typer.Option(help="without: the user has API tokens only")] = True,
    runs: Runs = Path("runs"),
    data: Data = None,
    database: DatabaseUrl = None,
) -> None:
    """Add a user. The first one must be an admin. Example: python -m dashboard users add ann --role admin."""
    secret = _password() if password else None
    with _session(runs, data, database) as session:
        people.add_user(session, name, role, secret)
        audit(session, BY, "add user", name, role)
    print(f"{name} may log in as {role}")


@users_app.command()
def role(
    name: Name,
    role: Annotated[Role, typer.Argument(help="viewer, runner or admin")],
    runs: Runs = Path("runs"),
    data: Data = None,
    database: DatabaseUrl = None,
) -> None:
    """Change a user's role."""
    with _session(runs, data, database) as session:
        people.change_role(session, name, role)
        audit(session, BY, "change role", name, role)
    print(f"{name} is a {role} now")


@users_app.command()
def password(name: Name, runs: Runs = Path("runs"), data: Data = None, database: DatabaseUrl = None) -> None:
    """Set a user's password, which ends all sessions of the user."""
    secret = _password()
    with _session(runs, data, database) as session:
        people.change_password(session, name, secret)
        audit(session, BY, "change password", name)
    print(f"{name} has a new password")


@users_app.command()
def token(
    name: Name,
    label: Annotated[str, typer.Option(help="what it is for")] = "command line",
    days: Annotated[int, typer.Option(help="days until it expires", min=1, max=3_650)] = 90,
    runs: Runs = Path("runs"),
    data: Data = None,
    database: DatabaseUrl = None,
) -> None:
    """Make an API token with the user's role, and print it. It is stored nowhere."""
    with _session(runs, data, database) as session:
        secret = people.new_token(session, name, label[:100], days)
        audit(session, BY, "make token", name, label)
    print(secret)


@users_app.command()
def remove(name: Name, runs: Runs = Path("runs"), data: Data = None, database: DatabaseUrl = None) -> None:
    """Remove a user with all sessions and tokens."""
    with _session(runs, data, database) as session:
        people.remove_user(session, name)
        audit(session, BY, "remove user", name)
    print(f"{name} may not log in any more")


@contextmanager
def _session(runs: Path, data: Path | None, database: str | None) -> Generator[Session]:
    """A writing session; expected errors end the program with a sentence."""
    settings = settings_or_stop(runs, data, database)
    try:
        settings.rollouts.mkdir(parents=True, exist_ok=True)
        settings.data.chmod(0o700)  # the database holds the secrets of running leases
        opened = open_database(settings.database)
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}; name a writable directory with --data")
    except DatabaseProblem as error:
        stop(str(error))
    try:
        with opened.write() as session:
            yield session
    except (PeopleProblem, BadPassword) as error:
        stop(str(error))
    finally:
        opened.close()


def _password() -> str:
    """The password from the keyboard, twice, or the first line of stdin."""
    if sys.stdin.isatty():
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\r\n")
