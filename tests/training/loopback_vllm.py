"""A server on a UNIX socket that speaks the control routes of vLLM, for faults that a real one can't be made to have.

It holds the weights of a checkpoint for real: digests are those of the file it loaded, answers depend on its numbers. Faults
are set by `POST /fault {"/collective_rpc": "hang"}` or in `Loopback.faults`:

    hang, hang once     the route does not answer              fail, fail once     it answers 500
    empty               it answers an empty object
    break               it answers 500, and so does every later reload and digest, until the process is started again
    die, die once       the process ends, and is started again: no call is answered for `DOWN_S`, then it is a new server
"""

import argparse
import json
import secrets
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from training.publishing.transfer.gloo import Receiver

HANG_S = 60.0
DOWN_S = 0.1
"""Seconds from the end of a process until its successor listens."""

Tensors = dict[str, np.ndarray]
Answer = tuple[int, dict[str, Any] | str]
"""Status and body: JSON, or a sentence."""


def read(weights: Path) -> Tensors:
    """The tensors of a model directory."""
    return load_file(weights / "model.safetensors")


def answer(tensors: Tensors, token: int) -> float:
    """The log-probability that weights give to a token, wherever it stands."""
    return -1.0 - float(tensors["a"].sum()) / (3 + token % 5)


class Loopback:
    """State of the server."""

    def __init__(self, model: Path) -> None:
        self.root = model
        self.up_at = 0.0
        """Until then (`time.monotonic`) no call is answered, as by a process that ended."""
        self.start()
        self.faults: dict[str, str] = {}
        self.calls: list[str] = []
        self.go = threading.Event()
        """Ends what hangs."""
        self.reached = threading.Event()
        """A fault was met."""

    def start(self) -> None:
        """Be a new process, with a name of its own, that holds what it was started with."""
        self.model = f"policy-{secrets.token_hex(4)}"
        self.version, self.paused, self.broken = "default", False, False
        self.receiver, self.updating = Receiver(), False
        self.asleep = False
        """Asleep, its weights can be neither read nor replaced."""
        self.adapters: dict[str, Tensors] = {}
        """Merged weights of the loaded adapters, by name: what base and adapter compute together."""
        self.load(self.root)

    def load(self, weights: Path) -> None:
        """Hold the weights of a model directory."""
        self.tensors, self.holds = read(weights), weights

    def reply(self, path: str, asked: dict[str, Any]) -> Answer | None:
        """Answer any route; None: the connection ends without an answer."""
        if time.monotonic() < self.up_at:
            return None
        path = path.partition("?")[0]
        self.calls.append(path)
        fault = self.faults.get(path, "")
        if fault:
            self.reached.set()
        if fault.endswith(" once"):
            del self.faults[path]
        match fault.removesuffix(" once"):
            case "hang":
                self.go.wait(HANG_S)
            case "fail":
                return 500, {"error": "on purpose"}
            case "empty":
                return 200, {}
            case "break":
                self.broken = True
            case "die":
                self.up_at = time.monotonic() + DOWN_S
                self.start()
                return None
        if self.broken and path in ("/collective_rpc", "/weight_checker"):
            return 500, {"error": "Cannot copy out of meta tensor; no data!"}
        return self._answer(path, asked)

    def _answer(self, path: str, asked: dict[str, Any]) -> Answer:
        match path:
            case "/fault":
                self.faults = asked
            case "/get_world_size":
                return 200, {"world_size": 1}
            case "/init_weight_transfer_engine":
                return self._join(asked["init_info"])
            case "/start_weight_update" if self.updating:
                return 500, {
                    "error": {"message": "start_weight_update called while a weight update is already active."}
                }
            case "/start_weight_update":
                self.updating = True
            case "/finish_weight_update":
                self.updating = False
            case "/update_weights" if not asked["update_info"]:
                self.updating = False
                return 500, {"error": {"message": "no tensors"}}
            case "/update_weights":
                return self._receive(asked["update_info"])
            case "/v1/models":
                return 200, {"data": [{"id": one, "root": str(self.root)} for one in (self.model, *self.adapters)]}
            case "/v1/load_lora_adapter":
                return self._load_adapter(asked["lora_name"], Path(asked["lora_path"]))
            case "/v1/unload_lora_adapter":
                known = self.adapters.pop(asked["lora_name"], None)
                return (200, "Success: removed") if known else (404, {"error": "no such adapter"})
            case "/weight_info":
                return 200, {"weight_version": self.version}
            case "/is_paused":
                return 200, {"is_paused": self.paused}
            case "/pause" | "/resume":
                self.paused = path == "/pause"
            case "/update_weight_version":
                self.version = asked["new_version"]
            case "/collective_rpc" | "/weight_checker" if self.asleep:
                return 500, {"error": "the weights are in main memory"}
            case "/collective_rpc":
                return self._reload(Path(asked["kwargs"]["weights_path"]))
            case "/is_sleeping":
                return 200, {"is_sleeping": self.asleep or self.paused}
            case "/sleep":
                self.asleep = self.paused = True
            case "/wake_up":
                self.asleep = self.paused = False
                return 200, {"status": "awake", "tags": None}
            case "/weight_checker":
                return 200, {"checksums": {name: sha256(t.tobytes()).hexdigest() for name, t in self.tensors.items()}}
            case "/inference/v1/generate":
                if self.paused:
                    self.go.wait(HANG_S)
                if asked["model"] not in (self.model, *self.adapters):
                    return 404, {"error": f"{asked['model']} does not exist"}
                return 200, {"prompt_logprobs": self._scores(asked["model"], asked["token_ids"])}
        return 200, {}

    def _join(self, info: dict[str, Any]) -> Answer:
        try:
            self.receiver.join(info.pop("address"), info.pop("port"), 1, **info)
        except (ValueError, RuntimeError) as error:
            return 500, {"error": {"message": str(error)}}
        return 200, {}

    def _receive(self, update: dict[str, Any]) -> Answer:
        version = update.pop("version")
        try:
            weights = self.receiver.receive(**update)
        except (ValueError, RuntimeError) as error:
            return 500, {"error": {"message": str(error)}}
        self.tensors, self.holds = {name: tensor.numpy().copy() for name, tensor in weights.items()}, Path("sent")
        self.receiver.keep(weights, version)
        return 200, {}

    def _load_adapter(self, name: str, folder: Path) -> Answer:
        if name in self.adapters or not folder.is_dir():
            return 400, {"error": "loaded already, or no such folder"}
        self.adapters[name] = read(folder.parent)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _reload(self, weights: Path) -> tuple[int, dict[str, Any]]:
        try:
            self.load(weights)
        except Exception as error:  # whatever the library says of a torn or missing file, vLLM answers 500
            return 500, {"error": str(error)}
        return 200, {}

    def _scores(self, model: str, tokens: Sequence[int]) -> list[dict[str, Any]]:
        held = self.adapters.get(model, self.tensors)
        return [{str(token): {"logprob": answer(held, token)}} for token in tokens]


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


def _server(uds: Path, state: Loopback) -> _Server:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(state.reply(self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._send(state.reply(self.path, json.loads(body) if body else {}))

        def _send(self, reply: Answer | None) -> None:
            if reply is None:
                return
            status, content = reply
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except BrokenPipeError:  # whoever asked gave up
                return

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def address_string(self) -> str:
            return "socket"

    uds.unlink(missing_ok=True)
    return _Server(str(uds), Handler)


@contextmanager
def running_loopback(uds: Path, model: Path) -> Generator[Loopback]:
    """The server in threads of this process."""
    state = Loopback(model)
    server = _server(uds, state)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """A process of its own, as a supervisor starts it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uds", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args()
    _server(options.uds, Loopback(options.model)).serve_forever()


if __name__ == "__main__":
    main()
