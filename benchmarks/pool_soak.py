"""A long life of the browser service, in minutes: sessions opened and closed in a loop, half of them abandoned by killed clients.

    python -m benchmarks.pool_soak                    2,000 sessions
    python -m benchmarks.pool_soak --sessions 300     a short one

Prints one row per quarter. It must hold that processes, file descriptors, temporary files and zombies return to what they
were before, and that the service's resident memory in the last quarter is within 5 % of that in the second. Exits with 1
where it does not.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import psutil
import typer

from browser_service.chromium.memory import families, folder_bytes, resident_bytes
from browser_service.settings import read_settings
from browser_service.tiers.serving import listen

CLIENT = Path(__file__).parents[1] / "tests" / "browser_service" / "soaking_client.py"
SLOTS = 6
PER_ROUND = 2 * SLOTS
PAGE = b"<!doctype html><title>soak</title><h1>soak</h1><button>a button</button>" + b"<p>some text</p>" * 200
GROWTH_LIMIT = 0.05
SETTLE_S = 20.0


class Footprint(NamedTuple):
    """What the service and its browsers hold."""

    service_mb: float
    processes: int
    descriptors: int
    zombies: int
    files: int
    files_mb: float


@contextmanager
def site() -> Generator[str, None, None]:
    """One small page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@contextmanager
def service(folder: Path) -> Generator[tuple[psutil.Process, str], None, None]:
    """The service as its users start it."""
    settings = read_settings({}, port=_free_port(), state_dir=folder)
    environment = {
        **os.environ,
        "BROWSER_SERVICE_STATE_DIR": str(folder),
        "BROWSER_SERVICE_EGRESS_SITES": "127.0.0.1:*",
    }
    command = [sys.executable, "-m", "browser_service.cli", "up", "--slots", str(SLOTS), "--port", str(settings.port)]
    process = subprocess.Popen([*command, "--log-level", "error"], env=environment)
    try:
        _wait_until_ready(settings.url)
        yield psutil.Process(process.pid), settings.url
    finally:
        process.terminate()
        process.wait(30)


def footprint(process: psutil.Process, folder: Path) -> Footprint:
    """Everything that could have been left behind, now."""
    family = families([process.pid])[process.pid]
    return Footprint(
        service_mb=resident_bytes(process.pid) / 1e6,
        processes=len(family),
        descriptors=process.num_fds(),
        zombies=sum(child.status() == psutil.STATUS_ZOMBIE for child in process.children()),
        files=sum(len(names) for _, _, names in os.walk(folder)),
        files_mb=folder_bytes(folder) / 1e6,
    )


def round_of_sessions(url: str, page: str) -> None:
    """As many sessions as twice the slots: the first half is given back, the second belongs to a client that is killed."""
    with subprocess.Popen([sys.executable, str(CLIENT), url, page, str(SLOTS)], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        said = client.stdout.readline()
        client.kill()
    if said != b"holding\n":
        raise RuntimeError("a client failed before it held its sessions; see its message above")
    deadline = time.monotonic() + 60
    while httpx.get(f"{url}/sessions").json()["sessions"]:
        if time.monotonic() > deadline:
            raise RuntimeError("the leases of a killed client did not end within 60 s")
        time.sleep(0.1)


def returned(before: Footprint, process: psutil.Process, folder: Path) -> Footprint:
    """The footprint once it is what it was before, or after some seconds. A warm session more or less is allowed for."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        now = footprint(process, folder)
        is_back = (
            now.processes <= before.processes + 3 and now.descriptors <= before.descriptors + 4 and not now.zombies
        )
        if is_back or time.monotonic() > deadline:
            return now
        time.sleep(0.5)


def show(name: str, found: Footprint, seconds: float) -> None:
    print(
        f"{name:<12}{found.service_mb:>10.1f}{found.processes:>11}{found.descriptors:>8}{found.zombies:>9}{found.files:>7}"
        f"{found.files_mb:>10.1f}{seconds:>9.0f}",
        flush=True,
    )


def main(sessions: Annotated[int, typer.Option(help="sessions in all")] = 2_000) -> None:
    """Runs the soak and prints its table."""
    rounds = max(4, sessions // PER_ROUND)
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as name, site() as page:
        folder = Path(name)
        folder.chmod(0o711)
        with service(folder) as (process, url):
            round_of_sessions(url, page)
            before = returned(footprint(process, folder), process, folder)
            print(f"{rounds * PER_ROUND} sessions, {SLOTS} slots, every other one abandoned by a killed client")
            print("             service MB  processes     fds  zombies  files  files MB  seconds")
            show("before", before, 0)
            quarters = []
            for quarter in range(4):
                start = time.monotonic()
                for _ in range(rounds * quarter // 4, rounds * (quarter + 1) // 4):
                    round_of_sessions(url, page)
                quarters.append(returned(before, process, folder))
                show(f"quarter {quarter + 1}", quarters[-1], time.monotonic() - start)
        left = [path.name for path in folder.iterdir()]
    last, growth = quarters[-1], quarters[3].service_mb / quarters[1].service_mb - 1
    failures = [
        f"{what} grew from {was} to {now}"
        for what, was, now, allowed in (
            ("processes", before.processes, last.processes, 3),
            ("file descriptors", before.descriptors, last.descriptors, 4),
            ("zombies", 0, last.zombies, 0),
            ("temporary files", before.files, last.files, before.files // 2 + 20),
        )
        if now > was + allowed
    ]
    if growth > GROWTH_LIMIT:
        failures.append("resident memory grew by more than 5 % between the second and the last quarter")
    if left:
        failures.append(f"files were left behind: {', '.join(left)}")
    print(f"resident memory, last quarter against second: {growth:+.1%}")
    print("\n".join(failures) or "nothing is left behind")
    raise typer.Exit(1 if failures else 0)


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the service did not become ready within 60 s")


def _free_port() -> int:
    with listen(read_settings({}, port=1).model_copy(update={"port": 0})) as listener:
        return listener.getsockname()[1]


if __name__ == "__main__":
    typer.run(main)
