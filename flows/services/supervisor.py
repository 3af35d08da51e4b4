"""A detached process that starts the services, watches them and restarts them.

    rl-loop up ──writes──> STATE/spec.json ──read by──> supervisor ──tether──> prefect, worker, mlflow, vllm, browser
                                                            │
                           STATE/services.json <──writes────┘      read by `rl-loop status`, `down`, the flow

It knows nothing about the services themselves: a `ServiceSpec` says how to start one and how to check its health.
A service that ends, or fails its health checks for `unhealthy_s`, loses its whole process group and is restarted.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from flows.services import health
from flows.services.processes import MARKER, stop_group, tethered
from flows.services.service_files import (
    LOCK,
    ServiceSpec,
    ServiceStatus,
    SupervisorSpec,
    SupervisorStatus,
    spec_file,
    status_file,
)
from storage.atomic import write_atomically
from storage.process_id import process_id
from telemetry.log_format import start_log

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""Seconds between two health checks of a service that is starting."""
WATCH_S = 5.0
"""Seconds between two health checks of a service that is ready."""
HEALTH_ANSWER_S = 5.0
"""Seconds that one health check may take."""
TERM_S = 8.0
"""Seconds between SIGTERM and SIGKILL when a service is stopped."""
STEADY_S = 60.0
"""Seconds of good health after which an earlier crash no longer lengthens the backoff."""


class Supervisor:
    """Keeps the services of one state directory running until it is stopped."""

    def __init__(self, state_dir: Path, spec: SupervisorSpec) -> None:
        self.state_dir = state_dir
        self.spec = spec
        me = process_id(os.getpid())
        assert me is not None, "a running process is in /proc"
        logs = state_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.status = SupervisorStatus(
            supervisor=me,
            services=[
                ServiceStatus(name=service.name, address=service.address, log=str(logs / f"{service.name}.log"))
                for service in spec.services
            ],
        )
        self._ready = {service.name: asyncio.Event() for service in spec.services}
        self._save()

    async def run(self, stop: asyncio.Event) -> None:
        """Start all services, watch them until `stop` is set, then stop them."""
        keepers = [asyncio.create_task(self._keep(service), name=service.name) for service in self.spec.services]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([*keepers, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in [*keepers, stopping]:
            task.cancel()
        results = await asyncio.gather(*keepers, return_exceptions=True)
        leaders = [status.process.pid for status in self.status.services if status.process]
        await asyncio.gather(*(stop_group(leader, term_s=TERM_S) for leader in leaders))
        for status in self.status.services:
            status.state = "stopped"
        self._save()
        for result in results:
            if isinstance(result, Exception):  # a bug of the supervisor: raised after all services are stopped
                raise result

    async def _keep(self, service: ServiceSpec) -> None:
        """Start one service again and again, with growing backoff."""
        for other in service.after:
            await self._ready[other].wait()
        status = self.status.service(service.name)
        if not service.command:
            await self._attend(service, status)
        quick_crashes = 0
        while True:
            began = time.monotonic()
            status.message = await self._live(service, status)
            logger.warning("%s: %s", service.name, status.message)
            self._ready[service.name].clear()
            status.restarts += 1
            status.state = "restarting"
            self._save()
            quick_crashes = 0 if time.monotonic() - began > STEADY_S else quick_crashes + 1
            await asyncio.sleep(min(0.5 * 2**quick_crashes, 30.0))

    async def _attend(self, service: ServiceSpec, status: ServiceStatus) -> NoReturn:
        """Watches a service that runs elsewhere."""
        while True:
            status.state, status.ready_after_s = "away", None
            self._save()
            status.message = await self._watch(service, status)
            logger.warning("%s at %s: %s", service.name, service.address, status.message)
            self._ready[service.name].clear()

    async def _live(self, service: ServiceSpec, status: ServiceStatus) -> str:
        """Runs a service once, from start to end. Returns why it ended; its process group is gone then."""
        process = await self._start(service, status)
        status.state, status.process, status.ready_after_s = "starting", process_id(process.pid), None
        self._save()
        ended = asyncio.create_task(process.wait())
        watch = asyncio.create_task(self._watch(service, status))
        try:
            await asyncio.wait([ended, watch], return_when=asyncio.FIRST_COMPLETED)
            return f"ended with status {process.returncode}" if ended.done() else watch.result()
        finally:
            watch.cancel()
            # The group outlives its leader: vLLM's engine would keep its memory and Chromium its profile.
            await asyncio.shield(stop_group(process.pid, term_s=0.0 if ended.done() else TERM_S))
            ended.cancel()

    async def _start(self, service: ServiceSpec, status: ServiceStatus) -> asyncio.subprocess.Process:
        log = _fresh_log(service, status)
        try:
            return await asyncio.create_subprocess_exec(
                *tethered(service.command),
                cwd=self.spec.working_dir,
                env={**os.environ, **service.env, MARKER: str(self.state_dir)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(log)

    async def _watch(self, service: ServiceSpec, status: ServiceStatus) -> str:
        """Check until the service is ready, then as long as it is healthy. Returns the problem."""
        async with health.client(HEALTH_ANSWER_S, socket=service.socket) as client:
            began = time.monotonic()
            while not await health.is_well(client, service.health_url):
                if time.monotonic() - began > service.ready_s:
                    return f"was not ready within {service.ready_s:.0f} s"
                await asyncio.sleep(POLL_S)
            status.state, status.ready_after_s = "ready", round(time.monotonic() - began, 2)
            self._ready[service.name].set()
            self._save()
            # Counted in failed checks, not in seconds: a machine that was suspended for an hour made none.
            bad = 0
            while bad * WATCH_S < service.unhealthy_s:
                await asyncio.sleep(WATCH_S)
                bad = 0 if await health.is_well(client, service.health_url) else bad + 1
            return f"gave no good answer for {service.unhealthy_s:.0f} s"

    def _save(self) -> None:
        write_atomically(status_file(self.state_dir), self.status.model_dump_json(indent=1).encode())


def _fresh_log(service: ServiceSpec, status: ServiceStatus) -> int:
    """A file descriptor of the service's log. Removes a stale socket, which would look like a live one."""
    if service.socket:
        Path(service.socket).unlink(missing_ok=True)
    return os.open(status.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


async def _main(state_dir: Path) -> None:
    spec = SupervisorSpec.model_validate_json(spec_file(state_dir).read_bytes())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Supervisor(state_dir, spec).run(stop)


def main() -> None:
    """`python -m flows.services.supervisor STATE_DIR`: run until SIGTERM. A second one for the same directory exits at once."""
    start_log()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    state_dir = Path(sys.argv[1])
    with (state_dir / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"a supervisor for {state_dir} is running already")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_main(state_dir))


if __name__ == "__main__":
    main()
