"""A small TCP proxy on loopback between client and service, which breaks what a test tells it to."""

import socket
import socketserver
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO


class Fault(StrEnum):
    """A fault of one request. The connection is reset each time."""

    BEFORE = "the request never reaches the service"
    AFTER = "the service does it, and its answer is lost"
    HALF = "the answer breaks off in the middle"


@dataclass
class FaultProxy:
    """Passes requests on. Faults and answers are used up in order, by path."""

    target: tuple[str, int]
    url: str = ""
    faults: dict[str, list[Fault | None]] = field(default_factory=dict)
    """Faults of the next requests; None: no fault."""
    answers: dict[str, list[bytes]] = field(default_factory=dict)
    """Sent in place of what the service would say."""
    seen: list[str] = field(default_factory=list)
    """Paths that were asked for."""
    targets: list[str] = field(default_factory=list)
    """The same with their queries."""
    sizes: list[int] = field(default_factory=list)
    """Bytes of the answers."""

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return self.seen.count(path)

    def serve(self, client: socket.socket) -> None:
        """One connection, until either side ends it."""
        with client, client.makefile("rb") as asked, socket.create_connection(self.target) as upstream:
            answered = upstream.makefile("rb")
            while request := read_message(asked):
                target = request.split(b" ", 2)[1].decode()
                path = target.partition("?")[0]
                self.targets.append(target)
                self.seen.append(path)
                if canned := self.answers.get(path):
                    client.sendall(canned.pop(0))
                    continue
                faults = self.faults.get(path)
                fault = faults.pop(0) if faults else None
                if fault is Fault.BEFORE:
                    return reset(client)
                upstream.sendall(request)
                answer = read_message(answered)
                self.sizes.append(len(answer))
                if fault is Fault.HALF:
                    client.sendall(answer[: len(answer) // 2])
                if fault is not None:
                    return reset(client)
                client.sendall(answer)


def read_message(stream: BinaryIO) -> bytes:
    """One HTTP message with the length of its body in the head; nothing when the other side is gone."""
    head, length = b"", 0
    try:
        while (line := stream.readline()) not in (b"\r\n", b""):
            head += line
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head + line + stream.read(length) if line else b""
    except OSError:
        return b""


def reset(client: socket.socket) -> None:
    """Ends the connection with a reset, as a machine does that has forgotten it."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.shutdown(socket.SHUT_RD)


def refusal(status: str, **headers: str) -> bytes:
    """An error answer of nginx in place of the service's."""
    lines = [f"HTTP/1.1 {status}", "content-length: 12", "content-type: text/html"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", "<h1>no</h1>\n"]).encode()


@contextmanager
def running_proxy(url: str) -> Generator[FaultProxy, None, None]:
    """A proxy on a free port in front of the service at `url`."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    proxy = FaultProxy((host, int(port)))

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                proxy.serve(self.request)
            except OSError:  # a side went away, which is what this is for
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield proxy
        server.shutdown()
        thread.join(5)
