"""Runs the server: the application, the index that follows the runs, and the worker beside it."""

import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from dashboard.api.service import Service
from dashboard.app import create_app
from dashboard.database.opening import open_database
from dashboard.database.queue import LeaseWatch, give_back
from dashboard.disk import remove_old_pictures, remove_old_recordings
from dashboard.index.scanning import Scanner
from dashboard.settings import Settings
from dashboard.store import RunsDir
from dashboard.worker.config import load_config
from dashboard.worker.process import Keeper
from storage.upkeep.retention import KeepConfig

log = logging.getLogger(__name__)

STOP_DEADLINE_S = 2
CLEANUP_S = 3_600.0
PAUSE_S = 1.0
"""Seconds between two passes of the index: it lags behind a run by that and the time of a pass."""


@contextmanager
def service_of(settings: Settings) -> Generator[Service]:
    """The parts of the routes. Raises `DatabaseProblem`, `ConfigProblem`, and OSError without a writable data directory."""
    settings.rollouts.mkdir(parents=True, exist_ok=True)
    settings.data.chmod(0o700)  # the database holds the secrets of running leases
    database = open_database(settings.database)
    try:
        yield Service(settings, load_config(settings.config), database, RunsDir(settings.runs))
    finally:
        database.close()


def serve(service: Service, listener: socket.socket, *, keeper: Keeper | None, rebuild: bool) -> None:
    """Serves until SIGINT or SIGTERM; then the worker is stopped, too."""
    config = uvicorn.Config(
        create_app(service.settings.runs, service),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=STOP_DEADLINE_S,
    )
    # uvicorn raises the signal again when it has ended; by default SIGTERM would end this process before the worker is told.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with upkeep(service, keeper, rebuild=rebuild):
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def upkeep(service: Service, keeper: Keeper | None, *, rebuild: bool = False) -> Generator[None]:
    """Follows the runs and keeps a worker, in threads, while the block runs."""
    stopped = threading.Event()
    threads = [threading.Thread(target=_follow, args=(service, stopped, rebuild), daemon=True)]
    if service.config.keep != KeepConfig():
        threads.append(threading.Thread(target=_clean_up, args=(service, stopped), daemon=True))
    if keeper is not None:
        threads.append(threading.Thread(target=_keep, args=(service, keeper, stopped), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(STOP_DEADLINE_S)
        if keeper is not None:
            keeper.stop()


def _follow(service: Service, stopped: threading.Event, rebuild: bool) -> None:
    """Passes of the index until `stopped`. A pass that fails is logged once, and tried again."""
    scanner, told = Scanner(service.runs, service.database), set[str]()
    first = scanner.rebuild if rebuild else scanner.scan
    while not stopped.is_set():
        began = time.monotonic()
        try:
            problems = first().problems
            first = scanner.scan
        except Exception as error:
            problems = [f"{type(error).__name__}: {error}"]
        for sentence in set(problems) - told:
            log.warning("index: %s", sentence)
        told |= set(problems)
        stopped.wait(max(PAUSE_S, time.monotonic() - began))  # at most half of the time is spent on it


def _keep(service: Service, keeper: Keeper, stopped: threading.Event) -> None:
    watch = LeaseWatch()
    while not stopped.is_set():
        try:
            keeper.check()
            with service.database.write() as session:
                give_back(session, watch.lost(session), reason="its worker was lost")
        except Exception as error:
            log.warning("worker: %s", error)
        stopped.wait(PAUSE_S)


def _clean_up(service: Service, stopped: threading.Event) -> None:
    keep, rollouts = service.config.keep, service.settings.rollouts
    while not stopped.is_set():
        try:
            with service.database.read() as session:
                if (days := keep.recordings_days) and (removed := remove_old_recordings(session, rollouts, days)):
                    log.info("removed the recordings of %d rollouts older than %g days", removed, days)
                if (days := keep.pictures_days) and (removed := remove_old_pictures(session, rollouts, days)):
                    log.info("removed %d pictures of rollouts older than %g days", removed, days)
        except Exception as error:
            log.warning("cleanup: %s", error)
        stopped.wait(CLEANUP_S)
