"""The monitor polls the services and never waits for them: real sockets, real servers."""

import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest
from eventually import PATIENCE_S

from browser_service.models import NodeStatus, PoolStatus
from flows.services.load import Asker, Browsers, Model, Services, ask_browsers, ask_model
from flows.services.model_servers import socket_path
from flows.services.service_files import ServiceStatus, SupervisorStatus, status_file
from flows.services.specs import BROWSER
from flows.settings.loop_config import LoopConfig
from storage.process_id import process_id

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="policy"} 5.0
vllm:num_requests_running{engine="1",model_name="policy"} 6.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="policy"} 3.0
"""
NODE = NodeStatus(url="http://n", hash="n", healthy=True, capacity=8, available=5, instances=["a", "b", "c"])
INFO = PoolStatus(nodes=[NODE, NODE], queue=4).model_dump_json()


class _UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def answering(where: Path | None, path: str, text: str, *, after_s: float = 0) -> Generator[str]:
    """A server that answers one question, on a UNIX socket or on a free port; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(after_s)
            self.send_response(200 if self.path == path else 404)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def address_string(self) -> str:
            return "socket"

    over_tcp = None if where else ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = over_tcp or _UnixServer(str(where), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{over_tcp.server_port}" if over_tcp else str(where)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def state_dir(config: LoopConfig) -> Path:
    """The directory of the services' state."""
    config.services.state_dir.mkdir(parents=True)
    return config.services.state_dir


def supervised(state_dir: Path, url: str) -> None:
    supervisor = process_id(os.getpid())
    assert supervisor is not None
    status = SupervisorStatus(supervisor=supervisor, services=[ServiceStatus(name=BROWSER, address=url, log="")])
    status_file(state_dir).write_text(status.model_dump_json())


def test_both_are_asked(state_dir: Path) -> None:
    with answering(None, "/info", INFO) as url, answering(socket_path(state_dir), "/metrics", METRICS):
        supervised(state_dir, url)
        with Asker(state_dir) as asker:
            assert asker.newest(wait=True) == Services(Browsers(6, 16, 4), Model(running=11, waiting=3))


def test_a_service_that_is_away_or_talks_nonsense_is_left_out(state_dir: Path) -> None:
    assert ask_browsers(state_dir) is None and ask_model(state_dir) is None
    status_file(state_dir).write_text('{"supervisor": ')
    assert ask_browsers(state_dir) is None
    with answering(None, "/info", "[]") as url, answering(socket_path(state_dir), "/metrics", "x{ 1 2 3 nonsense"):
        supervised(state_dir, url)
        assert ask_browsers(state_dir) is None and ask_model(state_dir) is None
    assert ask_browsers(state_dir) is None, "nobody listens there any more"


def test_a_slow_service_is_not_waited_for(state_dir: Path) -> None:
    with answering(socket_path(state_dir), "/metrics", METRICS, after_s=1.2), Asker(state_dir) as asker:
        began = time.monotonic()
        assert asker.newest() == Services() and time.monotonic() - began < 1.1
        deadline = began + PATIENCE_S
        while (newest := asker.newest()) == Services():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert newest.model == Model(11, 3)
