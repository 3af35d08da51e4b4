"""Commands for operators: `browser-service status`, `drain`, `nginx`."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from browser_service.cli_start import MASTER_PORT, settings_of, stop
from browser_service.client import BrowserPool
from browser_service.errors import BrowserServiceError
from browser_service.servers import nginx
from browser_service.settings import Settings

ASK_S = 5.0
"""Deadline of commands that query a running service."""
ASK_PATIENCE_S = 1.0
ACCESS_LOG = nginx.Front.access_log
Url = Annotated[
    str | None,
    typer.Option(
        help="address of the service, or of several masters with commas; default: the one that the settings name"
    ),
]
CaFile = Annotated[Path | None, typer.Option(help="PEM file of authorities that an https address may be proved by")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands to a command line."""
    app.command()(status)
    app.command()(drain)
    app.command("nginx")(print_nginx)


def status(url: Url = None, ca_file: CaFile = None) -> None:
    """Show masters, capacity, leases and queue of a running service."""
    settings = settings_of("warning", MASTER_PORT, ca_file=ca_file)

    async def ask() -> None:
        async with _pool(settings, url) as pool:
            found = await pool.info()
        typer.echo(f"{found.browser or 'browser down'}  queue {found.queue}{'  draining' if found.draining else ''}")
        for front in found.fronts:
            typer.echo(f"{front.url}  {_since(front.state, front.down_for_s)}  gives out leases")
        for each in found.nodes:
            state = "down" if not each.healthy else "draining" if each.draining else "healthy"
            typer.echo(f"{each.url}  {_since(state, each.down_for_s)}  {each.available} of {each.capacity} slots free")
            for session in each.sessions:
                times = f"age {session.age_s:.0f} s  expires in {session.expires_in_s:.0f} s"
                typer.echo(f"  {session.instance_id}  {session.owner}  {times}")

    _ask(ask())


def drain(
    url: Url = None,
    node: Annotated[str | None, typer.Option(help="only this node, as `status` names it")] = None,
    master: Annotated[str | None, typer.Option(help="only this master, as `status` names it")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="give out leases again")] = False,
    ca_file: CaFile = None,
) -> None:
    """Give out no new leases, so that a service or a part of it empties. Those that run go on.

    It holds until --undo, also through restarts.
    """
    settings = settings_of("warning", MASTER_PORT, ca_file=ca_file)

    async def ask() -> None:
        async with _pool(settings, url) as pool:
            await (pool.undrain(node, master=master) if undo else pool.drain(node, master=master))

    _ask(ask())


def print_nginx(
    server_name: Annotated[str, typer.Option(help="name that clients use")],
    certificate: Annotated[Path, typer.Option(help="TLS certificate, with its chain")],
    certificate_key: Annotated[Path, typer.Option(help="its key")],
    upstream: Annotated[list[str] | None, typer.Option(help="host:port of a master; again for each")] = None,
    requests_per_second: Annotated[int, typer.Option(min=1, help="allowed for each client address")] = 200,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="port that nginx listens on")] = 443,
    access_log: Annotated[Path, typer.Option(help="where nginx notes every call, without its query")] = ACCESS_LOG,
) -> None:
    """Print a configuration for nginx in front of the masters: TLS, rate limit, streaming, another master for a dead one."""
    front = nginx.Front(
        server_name=server_name,
        certificate=certificate,
        certificate_key=certificate_key,
        requests_per_second=requests_per_second,
        port=port,
        access_log=access_log,
    )
    try:
        text = nginx.configuration(front, upstream or [f"127.0.0.1:{MASTER_PORT}"])
    except ValueError as error:
        stop(str(error))
    typer.echo(text)


def _pool(settings: Settings, url: str | None) -> BrowserPool:
    """A client for one query to the service."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    try:
        return BrowserPool(
            url or settings.url, key, timeout_s=ASK_S, patience_s=ASK_PATIENCE_S, ca_file=settings.ca_file
        )
    except ValueError as error:
        stop(str(error))


def _since(state: str, down_for_s: float | None) -> str:
    return state if down_for_s is None else f"{state} for {down_for_s:.0f} s"


def _ask(question: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(question)
    except BrowserServiceError as error:
        stop(error.detail)
