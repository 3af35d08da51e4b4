"""A stand-in for vLLM on a UNIX socket: the routes that the loop uses, an answer that clicks the first element, and faults on demand."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

HELD_S = 60.0


class StandInModel:
    """Answers and counts of the stand-in server. Change the attributes while it runs."""

    def __init__(self) -> None:
        self.model = "policy-1"
        self.version = "default"
        self.answer = "click(1)"
        self.status = 200
        """HTTP status of chat completions; any but 200 is a fault."""
        self.completions = 0
        self.published: list[str] = []
        self.asked: set[str] = set()
        """Requested paths."""
        self.traceparents: list[str] = []
        """The spans that callers named as theirs."""
        self.restart_at: int | None = None
        """Number of the completion at which the server forgets its policy, as a restarted one does."""
        self.held: set[int] = set()
        """Numbers of the completions that are answered only when `go` is set."""
        self.go = threading.Event()

    def restart(self) -> None:
        """Serve under a new name, with the weights of the start."""
        self.model, self.version, self.restart_at = self.model + "'", "default", None

    def complete(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a chat completion."""
        self.completions += 1
        if self.completions in self.held:
            self.go.wait(HELD_S)
        if self.completions == self.restart_at:
            self.restart()
        if asked["model"] != self.model:
            return 404, {"error": "no such model"}
        if self.status != 200:
            return self.status, {"error": "on purpose"}
        choice = {
            "message": {"content": self.answer},
            "finish_reason": "stop",
            "token_ids": [5, 6],
            "logprobs": {"content": [{"logprob": -0.1}, {"logprob": -0.2}]},
        }
        return 200, {"choices": [choice], "prompt_token_ids": [1, 2, 3]}

    def reply(self, path: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer any route."""
        self.asked.add(path)
        match path.partition("?")[0]:
            case "/v1/chat/completions":
                return self.complete(asked)
            case "/v1/models":
                return 200, {"data": [{"id": self.model}]}
            case "/weight_info":
                return 200, {"weight_version": self.version}
            case "/update_weight_version":
                self.version = asked["new_version"]
                self.published.append(self.version)
            case "/is_paused":
                return 200, {"is_paused": False}
            case "/weight_checker":
                return 200, {"checksums": {}}
        return 200, {}


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def running_model(socket: Path) -> Generator[StandInModel]:
    """The stand-in on a socket, in threads of this process."""
    state = StandInModel()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*state.reply(self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._send(*state.reply(self.path, json.loads(body) if body else {}))

        def parse_request(self) -> bool:
            is_well = super().parse_request()
            if is_well and (named := self.headers.get("traceparent")):
                state.traceparents.append(named)
            return is_well

        def _send(self, status: int, content: dict[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def address_string(self) -> str:
            return "socket"

    server = _Server(str(socket), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
