"""Parts of `benchmarks.pool`: a page, services in separate processes, and Playwright without any service."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any, NamedTuple

import httpx
import psutil
from playwright.async_api import Browser

from browser_service.chromium.chromium import Chromium
from browser_service.chromium.driver import Driver
from browser_service.chromium.launcher import Launcher, find_executable
from browser_service.models import ClickCoords, Viewport
from browser_service.settings import read_settings

VIEWPORT = Viewport()
CLICK = ClickCoords(x=60, y=30)
"""A click on the page's button."""
START_S, STOP_S, GLANCE_S = 120.0, 30.0, 0.02
MB = 1_000_000
KEPT_SETTINGS = ("CHROMIUM", "ALLOW_UNSANDBOXED", "SANDBOX_UID")
"""Environment settings for running Chromium on this machine; all others are the benchmark's own."""

# A click changes a number and a tile, so that each picture differs from the one before.
PAGE = b"""<!doctype html><meta charset=utf-8><title>pool benchmark</title>
<style>body{font:16px sans-serif;margin:10px} button{width:110px;height:40px} #tiles{display:flex;flex-wrap:wrap;gap:4px}
#tiles div{width:72px;height:48px} table{font-size:12px;columns:4}</style>
<button>click</button> <output>0</output><div id=tiles></div><table></table>
<script>
let clicks = 0
const tiles = document.getElementById('tiles'), table = document.querySelector('table')
for (let n = 0; n < 120; n++) tiles.insertAdjacentHTML('beforeend', `<div style="background:hsl(${n * 7} 70% 60%)">${n}</div>`)
for (let n = 0; n < 60; n++) table.insertAdjacentHTML('beforeend', `<tr><td>row ${n}<td>${n * n}<td>some text in a cell`)
document.querySelector('button').onclick = () => {
  document.querySelector('output').value = ++clicks
  tiles.children[clicks % 120].style.background = `hsl(${clicks * 37} 90% 40%)`
}
</script>"""


class Service(NamedTuple):
    """A running service."""

    url: str
    process: psutil.Process

    def proportional_mb(self) -> float:
        """Proportional memory of all its processes in MB, shared pages counted once."""
        total = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / MB


@contextmanager
def served_page() -> Generator[str, None, None]:
    """Serves the page on a free port of this machine; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@contextmanager
def running(*arguments: str, **settings: str | int) -> Generator[Service, None, None]:
    """Runs `browser-service <arguments>` on free ports and yields it when ready; `settings` as in its environment,
    without prefix.

    Raises RuntimeError with the end of its log when it does not start.
    """
    port = free_port()
    if arguments[0] == "deploy":
        arguments = (*arguments, "--node-port", str(free_port()), "--instance-port", str(free_port()))
    with _folder() as folder:
        log = folder / "log"
        given = {"PORT": port, "STATE_DIR": folder, "DRAIN_DEADLINE_S": 0, **settings}
        environment = _without_settings() | {f"BROWSER_SERVICE_{name}": str(value) for name, value in given.items()}
        command = [sys.executable, "-m", "browser_service.cli", *arguments, "--log-level", "warning"]
        with log.open("wb") as output:
            child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        family = [process := psutil.Process(child.pid)]
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", child, log)
            yield Service(f"http://127.0.0.1:{port}", process)
        finally:
            with suppress(psutil.NoSuchProcess):
                family += process.children(recursive=True)
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
            for left in psutil.wait_procs(family, timeout=STOP_S)[1]:
                left.kill()
            child.wait()


def _wait_until_ready(url: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and child.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2, trust_env=False).is_success:
                return
        time.sleep(GLANCE_S)
    raise RuntimeError(f"the service did not get ready (it has {START_S:g} s for it): {log.read_text()[-1_000:]}")


@asynccontextmanager
async def direct_chromium() -> AsyncGenerator[Browser, None]:
    """Runs Playwright and Chromium in this process, with the service's executable, flags and sandbox, but no proxy."""
    with _folder() as folder:
        settings = read_settings(_without_settings(), egress=False, state_dir=folder)
        driver = await Driver.start(folder / "driver", START_S)
        try:
            launcher = Launcher(find_executable(settings, driver.playwright.chromium.executable_path), settings)
            chromium = await Chromium.launch(
                driver, launcher, folder / "home", settings, is_shared=True, on_change=lambda _: None, egress=None
            )
            try:
                yield chromium.browser
            finally:
                await chromium.close()
        finally:
            await driver.stop(STOP_S)


def free_port() -> int:
    """Returns a free port."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _folder() -> Generator[Path, None, None]:
    """Yields a state folder whose path is short enough for Chromium's sockets and open to Chromium's user."""
    with tempfile.TemporaryDirectory(prefix="bp-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def _without_settings() -> dict[str, str]:
    """The environment without settings of a service that the user runs otherwise."""
    kept = {f"BROWSER_SERVICE_{name}" for name in KEPT_SETTINGS}
    return {
        name: value for name, value in os.environ.items() if not name.startswith("BROWSER_SERVICE_") or name in kept
    }
