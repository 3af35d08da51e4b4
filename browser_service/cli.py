"""The command line: `browser-service up`; `deploy`, `master`, `node`, `instance` for many machines; `status`, `drain`.

Every option is also an environment variable (`settings.py`); the command line wins.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from fastapi import FastAPI

from browser_service import cli_operate
from browser_service.chromium.launcher import LaunchError
from browser_service.cli_start import INSTANCE_PORT, MASTER_PORT, NODE_PORT, settings_of, stop
from browser_service.leasing.tokens import shared_key
from browser_service.servers import deploy as deployment
from browser_service.servers.instance import create_app, running_instance
from browser_service.servers.master import create_front_app, running_front
from browser_service.servers.node import running_node
from browser_service.servers.serving import DriverDied, listen, serve
from browser_service.servers.supervise import end_with_supervisor
from browser_service.settings import Settings, SettingsError, is_loopback
from browser_service.tiers.service import Service, running_service
from telemetry.errors import TracingError
from telemetry.exporter import tracing

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Real browsers as a service.", rich_markup_mode=None)

Slots = Annotated[int | None, typer.Option(help="leases at the same time")]
Port = Annotated[int | None, typer.Option(help="port to listen on")]
Host = Annotated[str | None, typer.Option(help="address to listen on; others than loopback need an api key")]
Chromium = Annotated[Path | None, typer.Option(help="browser executable")]
Instances = Annotated[int | None, typer.Option(help="processes that the slots are spread over")]
InstancePort = Annotated[int, typer.Option(help="port of the first instance; the others follow")]
Redis = Annotated[str | None, typer.Option(help="address of a Redis that several masters keep the leases in")]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error")]
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
    """Start the service on this machine and run until it is stopped (Ctrl+C or SIGTERM).

    One process does it all; --instances spreads the browsers over several, which fail apart from one another.
    """
    settings = settings_of(log_level, MASTER_PORT, slots=slots, port=port, host=host, chromium=chromium)
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
    settings = settings_of(log_level, INSTANCE_PORT, slots=slots, port=port, host=host, chromium=chromium)
    if settings.node_url is None:
        _run(settings, log_level, running_service, create_app)
    else:
        _run(_among_tiers(settings), log_level, running_instance, create_app, ends_with_driver=True)


@app.command()
def node(
    slots: Slots = None,
    port: Port = None,
    host: Host = None,
    master: Annotated[
        str | None, typer.Option(help="address of the master that gives out the slots, or of several with commas")
    ] = None,
    advertise_host: Annotated[str | None, typer.Option(help="name of this machine for clients and master")] = None,
    instances: Instances = None,
    instance_port: InstancePort = INSTANCE_PORT,
    chromium: Chromium = None,
    log_level: LogLevel = "info",
) -> None:
    """Start the browsers of one machine, behind a master or alone."""
    settings = settings_of(
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
    settings = settings_of(log_level, MASTER_PORT, port=port, host=host, redis_url=redis)
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
    """Start a master and several nodes on this machine, and keep them running until stopped."""
    settings = settings_of(log_level, MASTER_PORT, slots=slots, port=port, host=host, redis_url=redis)
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
        stop(str(error))
    asyncio.run(deployment.keep_running(settings, programs))


def _among_tiers(settings: Settings) -> Settings:
    """The settings of a process that other tiers call: with the shared key and a reachable address."""
    settings = settings if settings.tier_key else _with_key(settings)
    try:
        settings.require_address()
    except SettingsError as error:
        stop(str(error))
    return settings


def _with_key(settings: Settings) -> Settings:
    """The settings with the shared key of tiers started by hand on this machine; other machines must set a key."""
    if not is_loopback(settings.host):
        stop(f"host {settings.host!r} can be reached from other machines: set BROWSER_SERVICE_TIER_KEY, on all of them")
    try:
        key = shared_key(settings.state_dir.absolute())
    except OSError as error:
        stop(str(error))
    return Settings.model_validate({**dict(settings), "tier_key": key.value})


def _run_node(settings: Settings, log_level: str, instances: int, first_port: int) -> None:
    try:
        slots = deployment.shares(settings.slots, instances)
    except ValueError as error:
        stop(str(error))

    @asynccontextmanager
    async def running(settings: Settings) -> AsyncGenerator[Service, None]:
        async with running_node(settings, slots, first_port, log_level) as service:
            yield service

    _run(_among_tiers(settings), log_level, running, create_front_app)


def _run(
    settings: Settings, log_level: str, running: Running, make_app: MakeApp, *, ends_with_driver: bool = False
) -> None:
    """Runs one tier on its port until it is stopped."""
    end_with_supervisor()

    async def run() -> None:
        async with running(settings) as service:
            await serve(make_app(settings, service), service, listener, log_level, ends_with_driver=ends_with_driver)

    try:
        listener = listen(settings)
    except OSError as error:
        stop(str(error))
    try:
        with tracing("browser-service", wanted=settings.traces):
            asyncio.run(run())
    except (LaunchError, DriverDied, SettingsError, TracingError, OSError) as error:
        stop(str(error))
    finally:
        listener.close()


cli_operate.add_to(app)


def main() -> None:
    """Entry point of the command `browser-service`."""
    app()


if __name__ == "__main__":
    main()
