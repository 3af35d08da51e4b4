"""The two sides of the door of a model server, as processes, with a server on a UNIX socket behind them."""

import os
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest
from real_services import free_port

from flows.services.door import DoorError, token_in

TOKEN = "a-token-of-more-than-16"
VARIABLE = "DOOR_TOKEN"


class Behind(BaseHTTPRequestHandler):
    """Echoes the path, a header and the body; /stream sends its second part only when `go` is set."""

    protocol_version = "HTTP/1.1"
    go = Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(f"{self.path} {self.headers.get('X-Mine')} {self.headers.get('Authorization')} ".encode() + body)

    def do_GET(self) -> None:
        if self.path != "/stream":
            return self.answer(self.path.encode())
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.wfile.flush()
        assert self.go.wait(30)
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: object) -> None: ...


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def started(*arguments: object, token: str = TOKEN) -> Generator[None]:
    command = [sys.executable, "-m", "flows.services.door", "--token-env", VARIABLE, *map(str, arguments)]
    with subprocess.Popen(command, env=os.environ | {VARIABLE: token}) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the near door and the socket of the far one."""
    folder = tmp_path_factory.mktemp("doors")
    with Server(str(folder / "vllm.sock"), Behind) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{(port := free_port())}"
        near = started("--side", "near", "--port", port, "--to-uds", folder / "vllm.sock")
        with near, started("--side", "far", "--uds", folder / "far.sock", "--to-url", url):
            deadline = time.monotonic() + 60
            while not answers(folder / "far.sock"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield url, folder / "far.sock"
        server.shutdown()


def answers(uds: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:  # httpx leaves its socket open when no process listens
        if probe.connect_ex(str(uds)) != 0:
            return False
    with through(uds) as client:
        return client.get("/version").status_code == 200


def through(uds: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(uds)), base_url="http://policy", timeout=30)


def test_only_the_token_opens_the_door(doors: tuple[str, Path]) -> None:
    url, _ = doors
    right = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post("/pause").status_code == 401
        assert client.post("/pause", headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert client.post("/health").status_code == 401
        assert client.get("/health").status_code == 200
        assert client.post("/pause", headers=right | {"Origin": "http://evil.example"}).status_code == 403
        assert client.post("/pause", headers=right).text.startswith("/pause ")


def test_a_request_and_its_answer_pass_unchanged(doors: tuple[str, Path]) -> None:
    _, far = doors
    body = os.urandom(200_000)
    with through(far) as client:
        answer = client.post("/pause?mode=wait&x=%2F", content=body, headers={"X-Mine": "yes"})
    assert answer.content == b"/pause?mode=wait&x=%2F yes None " + body, "the token ends at the near door"
    assert oct(far.stat().st_mode & 0o777) == "0o600"


def test_an_answer_is_streamed(doors: tuple[str, Path]) -> None:
    with through(doors[1]) as client, client.stream("GET", "/stream") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        Behind.go.set()
        assert b"".join(parts) == b"second"


def test_without_a_token_no_door_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DoorError, match="expected a token of at least 16 characters"):
        token_in(VARIABLE)
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(DoorError, match="found 5 characters"):
        token_in(VARIABLE)
