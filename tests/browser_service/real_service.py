"""A real service with a real Chromium on a free port, and a small site of test pages: what the fixtures give."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn

from browser_service.models import Viewport
from browser_service.servers.instance import create_app
from browser_service.servers.serving import listen
from browser_service.settings import Settings, read_settings

SMALL = Viewport(width=400, height=300)
START_DEADLINE_S = 60.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_service(**overrides: Any) -> Generator[Settings, None, None]:
    """The service in a thread of this process, with its own state folder; yields its settings.

    Pages on 127.0.0.1 may be visited without naming them as sites of the lease, unless `egress_sites` says otherwise.
    """
    defaults = {"warm": 1, "egress_sites": ["127.0.0.1:*"]}
    with tempfile.TemporaryDirectory(prefix="bs-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        settings = read_settings(os.environ, port=free_port(), state_dir=Path(folder), **(defaults | overrides))
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning", timeout_graceful_shutdown=2))
        listener = listen(settings)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_DEADLINE_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started, "the service did not start"
        yield settings
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()
        assert list(Path(folder).iterdir()) == [], "the service left files behind"


class Site:
    """Pages by path, served on a free port; `hits` says what was asked for."""

    def __init__(self) -> None:
        self.responders: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        """Paths that are answered otherwise than with a page, on the bare connection if need be."""
        self.pages: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.hits: list[str] = []
        self.url = ""

    @property
    def host(self) -> str:
        """The host and port by which a lease names it."""
        return self.url.removeprefix("http://")

    def page(self, name: str, body: str, *, script: str = "", title: str = "") -> str:
        """Adds a page and returns its address."""
        head = f"<!doctype html><meta charset=utf-8><title>{title or name}</title><body style='margin:0'>"
        self.pages[f"/{name}"] = f"{head}{body}<script>{script}</script>"
        return f"{self.url}/{name}"


@contextmanager
def running_site() -> Generator[Site, None, None]:
    """A `Site` on a free port of this machine."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.hits.append(self.path)
            path, _, query = self.path.partition("?")
            if respond := site.responders.get(path):
                respond(self)
                return
            if path == "/slow":
                time.sleep(float(query))
            if path in site.redirects:
                self.send_response(302)
                self.send_header("location", site.redirects[path])
                self.send_header("content-length", "0")
                self.end_headers()
                return
            body = site.pages.get(path, "nothing here").encode()
            self.send_response(200 if path in site.pages or path == "/slow" else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    thread.join(5)
    server.server_close()
