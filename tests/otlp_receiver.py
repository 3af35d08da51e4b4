"""A back end for spans: a real OTLP/HTTP receiver on loopback that keeps every body, decoded by OpenTelemetry's own messages."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from eventually import PATIENCE_S
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Value = str | int | float | bool | list[str]


class Received(NamedTuple):
    """A span that arrived."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    """Empty for the root of a trace."""
    kind: int
    failed: bool
    attributes: dict[str, Value]


class Receiver:
    """The bodies that arrived, and their spans."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.held_s = 0.0
        """Seconds before each answer."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send a process's spans here soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    @property
    def spans(self) -> list[Received]:
        """Every span that arrived."""
        found: list[Received] = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = str(_dictionary(resource.resource.attributes)["service.name"])
                found += [
                    Received(
                        span.name,
                        service,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.kind,
                        span.status.code == 2,
                        _dictionary(span.attributes),
                    )
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
        return found

    def named(self, name: str, **attributes: Value) -> list[Received]:
        """The spans with a name and these attributes of this project."""
        wanted = {f"rl_loop.{key}": value for key, value in attributes.items()}
        return [one for one in self.spans if one.name == name and wanted.items() <= one.attributes.items()]

    def until(self, name: str, count: int = 1) -> list[Received]:
        """Waits until so many spans of a name arrived."""
        deadline = time.monotonic() + PATIENCE_S
        while len(found := self.named(name)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} spans {name!r} arrived"
            time.sleep(0.05)
        return found

    def path(self, span: Received) -> list[str]:
        """Names from the root of its trace to a span; `?` for a parent that did not arrive."""
        by_id = {one.id: one for one in self.spans}
        names = [span.name]
        while span.parent:
            parent = by_id.get(span.parent)
            if parent is None or parent.trace != span.trace:
                return ["?", *names]
            span, names = parent, [parent.name, *names]
        return names


@contextmanager
def receiving() -> Generator[Receiver]:
    """The receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(receiver.held_s)
            receiver.bodies.append(body)
            receiver.headers.append(dict(self.headers))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()


def _dictionary(pairs: "list[KeyValue]") -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [each.string_value for each in value.array_value.values]
    return getattr(value, kind) if kind else ""
