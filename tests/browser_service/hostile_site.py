"""A server that means no good: it hangs, resets, lies, never ends. Every page of it is answered by a real socket.

Its plain pages are those of `real_service.Site`; what is here goes wrong below them, in HTTP.
"""

import base64
import gzip
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler

from real_service import Site, running_site

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close\r\n"
CHUNK = b"<p>endless</p>" * 50
BREATH_S = 0.01
"""Between two chunks of what never ends: a flood, but one that leaves the machine to others."""


class Connection:
    """One request on its bare connection, for those who answer as no server should."""

    def __init__(self, handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        self.headers = handler.headers
        self.path = handler.path
        self.socket: socket.socket = handler.connection
        self._over = over

    def send(self, content: str | bytes) -> None:
        """Raises OSError once the browser is gone."""
        self.socket.sendall(content.encode() if isinstance(content, str) else content)

    def hang(self) -> None:
        """Says nothing more, until the browser goes or the site closes."""
        self.socket.settimeout(0.1)
        while not self._over.is_set():
            with suppress(TimeoutError):
                if not self.socket.recv(4_096):
                    return

    def repeat(self, content: bytes) -> None:
        """The same again and again, until the browser goes or the site closes."""
        while not self._over.wait(BREATH_S):
            self.send(content)

    def reset(self) -> None:
        """Ends the connection with RST in place of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class OnceOnly:
    """A page for who comes first to an address, with its query; then nothing."""

    def __init__(self) -> None:
        self._visited: set[str] = set()

    def __call__(self, to: Connection) -> None:
        if to.path in self._visited:
            to.hang()
        self._visited.add(to.path)
        to.send(f"{HEAD}\r\n<!doctype html><title>once</title>x")


def _silent(to: Connection) -> None:
    to.hang()


def _half_a_page(to: Connection) -> None:
    to.send(f"{HEAD}\r\n<!doctype html><title>half</title><button>x</button>")
    to.hang()


def _half_a_head(to: Connection) -> None:
    to.send("HTTP/1.1 200 OK\r\ncontent-ty")
    to.hang()


def _endless_page(to: Connection) -> None:
    to.send(f"{HEAD}\r\n<!doctype html><title>endless</title>")
    to.repeat(CHUNK)


def _endless_head(to: Connection) -> None:
    to.send("HTTP/1.1 200 OK\r\n")
    to.repeat(b"x-more: and more\r\n" * 100)


def _garbage(to: Connection) -> None:
    to.send(bytes(range(256)) * 20)


def _reset(to: Connection) -> None:
    to.reset()


def _reset_midway(to: Connection) -> None:
    to.send(f"{HEAD}content-length: 100000\r\n\r\n<!doctype html><title>torn</title>")
    to.reset()


def _closed(to: Connection) -> None:
    return


def _shorter_than_said(to: Connection) -> None:
    to.send(f"{HEAD}content-length: 100000\r\n\r\n<!doctype html><title>short</title>")


def _no_content(to: Connection) -> None:
    to.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")


def _download(to: Connection) -> None:
    to.send(f"{HEAD}content-disposition: attachment; filename=evil.exe\r\ncontent-length: 4\r\n\r\nevil")


def _endless_download(to: Connection) -> None:
    to.send("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nconnection: close\r\n\r\n")
    to.repeat(CHUNK)


def _ten_megabytes(to: Connection) -> None:
    to.send(f"{HEAD}\r\n<!doctype html><title>large</title><button>first</button>")
    for number in range(100):
        to.send(f"<p>{number} {'word ' * 20_000}</p>")


def _bomb(to: Connection) -> None:
    packed = gzip.compress(b"<!doctype html><title>bomb</title>" + b" " * 20_000_000)
    to.send(f"{HEAD}content-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n")
    to.send(packed)


def _not_packed(to: Connection) -> None:
    to.send(f"{HEAD}content-encoding: gzip\r\n\r\nthis is not packed at all")


def _refreshing(to: Connection) -> None:
    to.send(f"{HEAD}refresh: 0\r\n\r\n<!doctype html><title>fresh</title>x")


def _replaced(to: Connection) -> None:
    to.send("HTTP/1.1 200 OK\r\ncontent-type: multipart/x-mixed-replace; boundary=b\r\n\r\n")
    to.repeat(b"--b\r\ncontent-type: text/html\r\n\r\n<title>part</title>part\r\n")


def _spamming_socket(to: Connection) -> None:
    accepted = base64.b64encode(hashlib.sha1(f"{to.headers['sec-websocket-key']}{MAGIC}".encode()).digest()).decode()
    to.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n")
    to.send(f"sec-websocket-accept: {accepted}\r\n\r\n")
    to.repeat((b"\x81\x7d" + b"x" * 125) * 3)


def _events(to: Connection) -> None:
    to.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    to.repeat(b"data: spam\n\n" * 10)


def _worker(to: Connection) -> None:
    to.send("HTTP/1.1 200 OK\r\ncontent-type: text/javascript\r\nconnection: close\r\n\r\n")
    to.send(
        "onfetch = e => e.respondWith(new Response('<title>intercepted</title>', {headers: {'content-type': 'text/html'}}));"
    )
    to.send("oninstall = () => skipWaiting(); onactivate = e => e.waitUntil(clients.claim());")


ANSWERS: dict[str, Callable[[Connection], None]] = {
    "/silent": _silent,
    "/half-a-page": _half_a_page,
    "/half-a-head": _half_a_head,
    "/endless-page": _endless_page,
    "/endless-head": _endless_head,
    "/garbage": _garbage,
    "/reset": _reset,
    "/reset-midway": _reset_midway,
    "/closed": _closed,
    "/shorter-than-said": _shorter_than_said,
    "/no-content": _no_content,
    "/download": _download,
    "/endless-download": _endless_download,
    "/ten-megabytes": _ten_megabytes,
    "/bomb": _bomb,
    "/not-packed": _not_packed,
    "/refreshing": _refreshing,
    "/replaced": _replaced,
    "/spamming-socket": _spamming_socket,
    "/events": _events,
    "/worker.js": _worker,
}


@contextmanager
def running_hostile_site() -> Generator[Site, None, None]:
    """The site on a free port of this machine; what hangs in it ends with it."""
    over = threading.Event()
    with running_site() as site:
        for path, answer in {**ANSWERS, "/once": OnceOnly()}.items():
            site.responders[path] = _on_the_bare_connection(answer, over)
        site.redirects |= {"/round": "/round", "/ping": "/pong", "/pong": "/ping", "/to-a-file": "file:///etc/hostname"}
        yield site
        over.set()


def _on_the_bare_connection(
    answer: Callable[[Connection], None], over: threading.Event
) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        with suppress(OSError):  # the browser has had enough
            answer(Connection(handler, over))

    return respond
