"""The command line: `browser-service up`, for one machine; `deploy`, `master`, `node`, `instance` for more; `status`, `drain`.

Every option is also a setting of the environment (`settings.py`); what is given on the command line wins.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from fastapi import FastAPI

from browser_service.chromium.launcher import LaunchError
from browser_service.client import BrowserPool
from browser_service.errors import BrowserServiceError
from browser_service.leasing.tokens import shared_key
from browser_service.settings import Settings, SettingsError, is_loopback, read_settings
from browser_service.tiers import deploy as deployment
from browser_service.tiers import nginx
from browser_service.tiers.instance import create_app, running_instance
from browser_service.tiers.master import create_front_app, running_front
from browser_service.tiers.node import running_node
from browser_service.tiers.service import Service, running_service
from browser_service.tiers.serving import DriverDied, listen, serve
from browser_service.tiers.supervise import end_with_supervisor

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Real browsers as a service.", rich_markup_mode=None)

MASTER_PORT, NODE_PORT, INSTANCE_PORT = 7000, 8080, 9000
ASK_S = 5.0
"""Deadline of the commands that ask a running service."""
ASK_PATIENCE_S = 1.0

Slots = Annotated[int | None, typer.Option(help="leases at the same time")]
Port = Annotated[int | None, typer.Option(help="port to listen on")]
Host = Annotated[str | None, typer.Option(help="address to listen on; others than loopback need an api key")]
Chromium = Annotated[Path | None, typer.Option(help="browser executable")]
Instances = Annotated[int | None, typer.Option(help="processes that the slots are spread over")]
InstancePort = Annotated[int, typer.Option(help="port of the first instance; the others follow")]
Redis = Annotated[str | None, typer.Option(help="address of a Redis that several masters keep the leases in")]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error")]
Url = Annotated[str | None, typer.Option(help="address of the service; default: the one that the settings name")]
Running = Callable[[Settings], AbstractAsyncContextManager[Service]]
MakeApp = Callable[[Settings, Service], FastAPI]


@app.command()
def up(
    slots: Slots = None,
    port: Port = None,
    host: Host = None,
    chromium: Chromium = None,
    instances: Instances = None,
    instance_port: InstancePort = INSTANCE_PORT,
    log_level: LogLevel = "info",
) -> None:
    """Start the service on this machine and run until it is told to stop (Ctrl+C or SIGTERM).

    One process does it all; --instances spreads the browsers over several, which fail apart from one another.
    """
    settings = _settings(log_level, MASTER_PORT, slots=slots, port=port, host=host, chromium=chromium)
    if instances is None:
        _run(settings, log_level, running_service, create_app)
    else:
        _run_node(settings, log_level, instances, instance_port)


@app.command()
def instance(
    slots: Slots = None,
    port: Port = None,
    host: Host = None,
    chromium: Chromium = None,
    log_level: LogLevel = "info",
) -> None:
    """Start one process with browsers: a whole service, unless a node has started it (BROWSER_SERVICE_NODE_URL)."""
    settings = _settings(log_level, INSTANCE_PORT, slots=slots, port=port, host=host, chromium=chromium)
    if settings.node_url is None:
        _run(settings, log_level, running_service, create_app)
    else:
        _run(_among_tiers(settings), log_level, running_instance, create_app, ends_with_driver=True)


@app.command()
def node(
    slots: Slots = None,
    port: Port = None,
    host: Host = None,
    master: Annotated[str | None, typer.Option(help="address of the master that gives out the slots")] = None,
    advertise_host: Annotated[str | None, typer.Option(help="name of this machine for clients and master")] = None,
    instances: Instances = None,
    instance_port: InstancePort = INSTANCE_PORT,
    chromium: Chromium = None,
    log_level: LogLevel = "info",
) -> None:
    """Start the browsers of one machine, behind a master or alone."""
    settings = _settings(
        log_level,
        NODE_PORT,
        slots=slots,
        port=port,
        host=host,
        master_url=master,
        advertise_host=advertise_host,
        chromium=chromium,
    )
    _run_node(settings, log_level, instances or deployment.instances_for(settings.slots), instance_port)


@app.command()
def master(port: Port = None, host: Host = None, redis: Redis = None, log_level: LogLevel = "info") -> None:
    """Start a master: it gives out the slots of the nodes that report to it."""
    settings = _settings(log_level, MASTER_PORT, port=port, host=host, redis_url=redis)
    _run(_among_tiers(settings), log_level, running_front, create_front_app)


@app.command()
def deploy(
    nodes: Annotated[int, typer.Option(help="nodes, each with its own instances")] = 2,
    slots: Annotated[int | None, typer.Option(help="leases at the same time, on all nodes together")] = None,
    instances: Annotated[int | None, typer.Option(help="instances of each node")] = None,
    port: Port = None,
    host: Host = None,
    redis: Redis = None,
    node_port: Annotated[int, typer.Option(help="port of the first node; the others follow")] = NODE_PORT,
    instance_port: InstancePort = INSTANCE_PORT,
    log_level: LogLevel = "info",
) -> None:
    """Start a master and several nodes on this machine, and keep them running until told to stop."""
    settings = _settings(log_level, MASTER_PORT, slots=slots, port=port, host=host, redis_url=redis)
    try:
        programs = deployment.programs(
            settings,
            deployment.shares(settings.slots, nodes),
            instances=instances,
            node_port=node_port,
            instance_port=instance_port,
            log_level=log_level,
        )
    except ValueError as error:
        _stop(str(error))
    asyncio.run(deployment.keep_running(settings, programs))


@app.command()
def status(url: Url = None) -> None:
    """Show capacity, leases and queue of a running service."""
    settings = _settings("warning", MASTER_PORT)
    key = settings.api_key.get_secret_value() if settings.api_key else None

    async def ask() -> None:
        async with BrowserPool(url or settings.url, key, timeout_s=ASK_S, patience_s=ASK_PATIENCE_S) as pool:
            found = await pool.info()
        print(f"{found.browser or 'browser down'}  queue {found.queue}")
        for each in found.nodes:
            state = "draining" if each.draining else "healthy" if each.healthy else "down"
            print(f"{each.url}  {state}  {each.available} of {each.capacity} slots free")
            for session in each.sessions:
                times = f"age {session.age_s:.0f} s  expires in {session.expires_in_s:.0f} s"
                print(f"  {session.instance_id}  {session.owner}  {times}")

    _ask(ask())


@app.command()
def drain(
    url: Url = None,
    node: Annotated[str | None, typer.Option(help="only this node, as `status` names it")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="give out leases again")] = False,
) -> None:
    """Give out no new leases, so that a service or one of its nodes empties. Those that run go on."""
    settings = _settings("warning", MASTER_PORT)
    key = settings.api_key.get_secret_value() if settings.api_key else None

    async def ask() -> None:
        async with BrowserPool(url or settings.url, key, timeout_s=ASK_S, patience_s=ASK_PATIENCE_S) as pool:
            await (pool.undrain(node) if undo else pool.drain(node))

    _ask(ask())


@app.command("nginx")
def print_nginx(
    server_name: Annotated[str, typer.Option(help="name that clients use")],
    certificate: Annotated[Path, typer.Option(help="TLS certificate, with its chain")],
    certificate_key: Annotated[Path, typer.Option(help="its key")],
    upstream: Annotated[list[str] | None, typer.Option(help="host:port of a master; again for each")] = None,
    requests_per_second: Annotated[int, typer.Option(min=1, help="allowed for each client address")] = 200,
) -> None:
    """Print a configuration for nginx in front of the masters: TLS, rate limit, streaming."""
    try:
        text = nginx.configuration(
            server_name=server_name,
            certificate=certificate,
            certificate_key=certificate_key,
            upstreams=upstream or [f"127.0.0.1:{MASTER_PORT}"],
            requests_per_second=requests_per_second,
        )
    except ValueError as error:
        _stop(str(error))
    print(text)


def _settings(log_level: str, default_port: int, **overrides: Any) -> Settings:
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    environment = {"BROWSER_SERVICE_PORT": str(default_port)} | {
        name: value for name, value in os.environ.items() if name != "BROWSER_SERVICE_PORT" or value
    }
    environment.pop("BROWSER_SERVICE_SUPERVISOR", None)
    try:
        return read_settings(environment, **overrides)
    except SettingsError as error:
        _stop(str(error))


def _among_tiers(settings: Settings) -> Settings:
    """As a process that others talk to: with a key that they know and an address that they can use."""
    settings = settings if settings.tier_key else _with_key(settings)
    try:
        settings.require_address()
    except SettingsError as error:
        _stop(str(error))
    return settings


def _with_key(settings: Settings) -> Settings:
    """With the key that tiers which were started by hand on this machine share; other machines need one to be set."""
    if not is_loopback(settings.host):
        _stop(
            f"host {settings.host!r} can be reached from other machines: set BROWSER_SERVICE_TIER_KEY, on all of them"
        )
    try:
        key = shared_key(settings.state_dir.absolute())
    except OSError as error:
        _stop(str(error))
    return Settings.model_validate({**dict(settings), "tier_key": key.value})


def _run_node(settings: Settings, log_level: str, instances: int, first_port: int) -> None:
    try:
        slots = deployment.shares(settings.slots, instances)
    except ValueError as error:
        _stop(str(error))

    @asynccontextmanager
    async def running(settings: Settings) -> AsyncGenerator[Service, None]:
        async with running_node(settings, slots, first_port, log_level) as service:
            yield service

    _run(_among_tiers(settings), log_level, running, create_front_app)


def _run(
    settings: Settings, log_level: str, running: Running, make_app: MakeApp, *, ends_with_driver: bool = False
) -> None:
    """Runs one tier on its port until it is told to stop."""
    end_with_supervisor()

    async def run() -> None:
        async with running(settings) as service:
            await serve(make_app(settings, service), service, listener, log_level, ends_with_driver=ends_with_driver)

    try:
        listener = listen(settings)
    except OSError as error:
        _stop(str(error))
    try:
        asyncio.run(run())
    except (LaunchError, DriverDied, SettingsError, OSError) as error:
        _stop(str(error))
    finally:
        listener.close()


def _ask(question: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(question)
    except BrowserServiceError as error:
        _stop(error.detail)


def _stop(sentence: str) -> NoReturn:
    print(f"browser-service: {sentence}", file=sys.stderr)
    raise typer.Exit(1)


def main() -> None:
    """Entry point of the command `browser-service`."""
    app()


if __name__ == "__main__":
    main()
