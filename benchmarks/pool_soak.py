"""Soak test of the browser service: sessions opened and closed in a loop, half of them abandoned by killed clients.

    python -m benchmarks.pool_soak                    2,000 sessions of one process
    python -m benchmarks.pool_soak --tiers            the same through master, node and instance, with leases in Redis
    python -m benchmarks.pool_soak --sessions 300     a short one

Prints one row per quarter. Required: processes, file descriptors, temporary files, zombies and keys in Redis return to
their numbers from before, and the resident memory of each server in the last quarter is within 5 % of that in the
second. Otherwise the exit code is 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, NamedTuple

import httpx
import psutil
import redis
import typer

from benchmarks.pool_parts import Service, running, served_page
from browser_service.chromium.memory import folder_bytes, resident_bytes

CLIENT = Path(__file__).parents[1] / "tests" / "browser_service" / "soaking_client.py"
SLOTS = 6
PER_ROUND = 2 * SLOTS
GROWTH_LIMIT = 0.05
SETTLE_S = 20.0
REDIS_START_S = 20.0


class Footprint(NamedTuple):
    """Resources of the service and its browsers."""

    servers_mb: dict[str, float]
    """Resident memory of each of the service's own processes, by its command."""
    processes: int
    descriptors: int
    zombies: int
    files: int
    files_mb: float
    keys: int

    def beyond(self, before: "Footprint") -> list[str]:
        """Sentences about resources that have grown. A difference of one warm session is allowed."""
        allowed = {"processes": 3, "descriptors": 4, "zombies": 0, "files": before.files // 2 + 20, "keys": 0}
        return [
            f"{name} grew from {was} to {now}"
            for name, spare in allowed.items()
            if (now := getattr(self, name)) > (was := getattr(before, name)) + spare
        ]


class Watched(NamedTuple):
    """A service, with its folder and its Redis."""

    service: Service
    folder: Path
    store: redis.Redis | None

    def footprint(self) -> Footprint:
        """The current footprint: everything that could be left behind."""
        family = [self.service.process, *self.service.process.children(recursive=True)]
        servers = {name: process for process in family if (name := _server(process))}
        return Footprint(
            servers_mb={name: resident_bytes(process.pid) / 1e6 for name, process in servers.items()},
            processes=len(family),
            descriptors=sum(process.num_fds() for process in servers.values()),
            zombies=sum(_is_zombie(process) for process in family),
            files=sum(len(names) for _, _, names in os.walk(self.folder)),
            files_mb=folder_bytes(self.folder) / 1e6,
            keys=int(self.store.dbsize()) if self.store else 0,
        )

    def settled(self, before: Footprint) -> Footprint:
        """The footprint when it is back to `before`, or after some seconds."""
        deadline = time.monotonic() + SETTLE_S
        while (now := self.footprint()).beyond(before) and time.monotonic() < deadline:
            time.sleep(0.5)
        return now


@contextmanager
def watched_service(tiers: bool) -> Generator[Watched, None, None]:
    """Runs the service as its users start it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp")))
        folder.chmod(0o711)
        arguments = ["up", "--slots", str(SLOTS)]
        store = None
        if tiers:
            url = stack.enter_context(redis_server())
            store = stack.enter_context(redis.Redis.from_url(url))
            arguments = ["deploy", "--nodes", "1", "--instances", "1", "--slots", str(SLOTS), "--redis", url]
        with running(*arguments, STATE_DIR=str(folder), EGRESS_SITES="127.0.0.1:*") as service:
            yield Watched(service, folder, store)
        if left := [path.name for path in folder.iterdir()]:
            raise SystemExit(f"files were left behind: {', '.join(left)}")


@contextmanager
def redis_server() -> Generator[str, None, None]:
    """Runs a Redis server that stores nothing on disk; yields its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("there is no redis-server on the PATH: ./setup.sh installs it")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        url = f"unix://{folder}/redis.sock"
        options = ["--port", "0", "--unixsocket", f"{folder}/redis.sock", "--dir", folder, "--save", ""]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + REDIS_START_S
            with redis.Redis.from_url(url) as client:
                while time.monotonic() < deadline:
                    with suppress(redis.ConnectionError):
                        client.ping()
                        break
                    time.sleep(0.05)
            yield url
        finally:
            server.kill()
            server.wait()


def round_of_sessions(url: str, page: str) -> None:
    """Runs twice as many sessions as slots: the first half is released, the client of the second is killed."""
    with subprocess.Popen([sys.executable, str(CLIENT), url, page, str(SLOTS)], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        said = client.stdout.readline()
        client.kill()
    if said != b"holding\n":
        raise SystemExit("a client failed before it held its sessions; see its message above")
    deadline = time.monotonic() + 60
    while httpx.get(f"{url}/sessions").json()["sessions"]:
        if time.monotonic() > deadline:
            raise SystemExit("the leases of a killed client did not end within 60 s")
        time.sleep(0.1)


def show(name: str, found: Footprint, seconds: float) -> None:
    memory = "".join(f"{megabytes:>13.1f}" for megabytes in found.servers_mb.values())
    print(
        f"{name:<10}{memory}{found.processes:>11}{found.descriptors:>6}{found.zombies:>9}{found.files:>7}"
        f"{found.files_mb:>10.1f}{found.keys:>6}{seconds:>9.0f}",
        flush=True,
    )


def main(
    sessions: Annotated[int, typer.Option(help="sessions in all")] = 2_000,
    tiers: Annotated[bool, typer.Option("--tiers", help="master, node and instance, with leases in Redis")] = False,
) -> None:
    """Runs the soak and prints its table."""
    rounds = max(4, sessions // PER_ROUND)
    with served_page() as page, watched_service(tiers) as watched:
        url = watched.service.url
        round_of_sessions(url, page)
        before = watched.settled(watched.footprint())
        print(f"{rounds * PER_ROUND} sessions, {SLOTS} slots, every other one abandoned by a killed client")
        names = "".join(f"{name + ' MB':>13}" for name in before.servers_mb)
        print(f"{'':<10}{names}  processes   fds  zombies  files  files MB  keys  seconds")
        show("before", before, 0)
        quarters = []
        for quarter in range(4):
            start = time.monotonic()
            for _ in range(rounds * quarter // 4, rounds * (quarter + 1) // 4):
                round_of_sessions(url, page)
            quarters.append(watched.settled(before))
            show(f"quarter {quarter + 1}", quarters[-1], time.monotonic() - start)
    failures = quarters[-1].beyond(before)
    for name, megabytes in quarters[-1].servers_mb.items():
        growth = megabytes / quarters[1].servers_mb[name] - 1
        print(f"resident memory of {name}, last quarter against second: {growth:+.1%}")
        if growth > GROWTH_LIMIT:
            failures.append(f"resident memory of {name} grew by more than 5 %")
    print("\n".join(failures) or "nothing is left behind")
    raise typer.Exit(1 if failures else 0)


def _server(process: psutil.Process) -> str | None:
    """The command of one of the service's own servers, None for browsers and their helpers."""
    with suppress(psutil.NoSuchProcess):
        line = process.cmdline()
        return line[line.index("browser_service.cli") + 1] if "browser_service.cli" in line else None
    return None


def _is_zombie(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return False


if __name__ == "__main__":
    typer.run(main)
