"""A vendor on loopback: answers what the test scripts, in the vendor's own protocol, and keeps what it was asked."""

import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Json = dict[str, Any]


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]
    body: Json


class Answer(NamedTuple):
    """A response; `content` that is not bytes is sent as JSON."""

    content: Any
    status: int = 200
    """0: the connection is closed without an answer."""
    headers: dict[str, str] = {}
    after_s: float = 0.0
    drips_s: float = 0.0
    """Pause before each byte."""


class Vendor:
    """The server's address, what it was asked, and what it answers next; the last answer is repeated."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        self.version = b"{}"
        """Response to GET /weight_info."""
        self.check: Callable[[Json], str | None] = lambda body: None
        """Says what is wrong with a request; a 400 then, as the vendor would."""

    def next(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if problem := self.check(asked.body):
            return Answer({"error": {"message": problem, "type": "invalid_request_error", "code": 400}}, 400)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def running_vendor() -> Generator[Vendor]:
    """A vendor in threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
            answer = vendor.next(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(answer.after_s)
            if not answer.status:
                self.close_connection = True
                return
            content = answer.content if isinstance(answer.content, bytes) else json.dumps(answer.content).encode()
            self.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            try:
                for place in range(len(content) if answer.drips_s else 0):
                    time.sleep(answer.drips_s)
                    self.wfile.write(content[place : place + 1])
                if not answer.drips_s:
                    self.wfile.write(content)
            except ConnectionError:  # nobody waits any more
                pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(vendor.version)))
            self.end_headers()
            self.wfile.write(vendor.version)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    vendor = Vendor(f"http://127.0.0.1:{server.server_port}")
    yield vendor
    server.shutdown()
    server.server_close()
    thread.join()
