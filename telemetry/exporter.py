"""Tracing of a process: OpenTelemetry's SDK, configured by the standard `OTEL_*` variables, sending OTLP over HTTP.

Spans wait in a bounded queue (OTEL_BSP_MAX_QUEUE_SIZE, 2048) that a thread of its own empties; a full queue drops the oldest.
So a back end that is slow or down costs spans, and never time. The SDK's tracer provider stays private: nothing of Prefect,
MLflow or another library gets into these traces, whatever it puts into its own spans.
"""

import logging
import os
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from telemetry.errors import TracingError
from telemetry.spans import is_tracing, use_tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

FLUSH_S = 2.0
"""Seconds that the end of a process waits for its last spans to be sent."""
REPEAT_S = 60.0
"""Seconds in which the log says once that spans can't be sent."""
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
DEFAULT_ENDPOINT = "http://localhost:4318"


def traces_endpoint(environment: Mapping[str, str] = os.environ) -> str:
    """The address that spans are sent to. Raises `TracingError` when it can't be one, or has a password in it."""
    given = environment.get(TRACES_ENDPOINT) or f"{environment.get(ENDPOINT, DEFAULT_ENDPOINT).rstrip('/')}/v1/traces"
    address = urlsplit(given)
    if address.username or address.password:
        raise TracingError(
            f"expected no user and password in {TRACES_ENDPOINT} or {ENDPOINT}, where other processes can read them; put "
            "them into OTEL_EXPORTER_OTLP_HEADERS"
        )
    if address.scheme not in ("http", "https") or not address.hostname:
        raise TracingError(f"expected an address such as http://localhost:4318 in {ENDPOINT}, found {given[:100]!r}")
    return given


def check(environment: Mapping[str, str] = os.environ) -> bool:
    """True if spans are sent, False if the environment turns it off. Raises `TracingError` if they can't be."""
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    if exporter != "otlp":
        raise TracingError(f"expected OTEL_TRACES_EXPORTER to be otlp or none, found {exporter[:40]!r}; unset it")
    protocol = next((value for name in PROTOCOLS if (value := environment.get(name))), "http/protobuf")
    if protocol != "http/protobuf":
        raise TracingError(
            f"expected OTEL_EXPORTER_OTLP_PROTOCOL to be http/protobuf, found {protocol[:40]!r}; unset it and use the back "
            "end's port for OTLP over HTTP, commonly 4318"
        )
    traces_endpoint(environment)
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        raise TracingError(
            f"traces need the package {error.name}; run pip install -e '.[otel]' -c constraints.txt, or turn traces off"
        ) from None
    from telemetry.sampling import share_of

    share_of(environment)
    return True


@contextmanager
def tracing(service: str, *, wanted: bool) -> Generator[None]:
    """Records and sends the spans of the block, if `wanted`; sends the last ones within `FLUSH_S` at its end.

    `service` names the process in traces, unless OTEL_SERVICE_NAME does. A block within another one changes nothing.
    Raises `TracingError`.
    """
    if not wanted or is_tracing() or not check():
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from telemetry.sampling import EpisodeSampler, share_of

    _say_seldom()
    provider = TracerProvider(
        sampler=EpisodeSampler(share_of(os.environ)), resource=_resource(service), shutdown_on_exit=False
    )
    sending = BatchSpanProcessor(OTLPSpanExporter())
    provider.add_span_processor(sending)
    use_tracer(provider.get_tracer("rl-loop"))
    try:
        yield
    finally:
        use_tracer(None)
        # In a thread that dies with the process: the SDK would wait for half a minute for a back end that is down.
        flushing = threading.Thread(target=sending.shutdown, name="last spans", daemon=True)
        flushing.start()
        flushing.join(FLUSH_S)


def _resource(service: str) -> "Resource":
    """The process in a trace. No command line, user or host name, which the SDK's detectors would add on request."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    # The detector reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
    given = OTELResourceDetector().detect().attributes
    return Resource({"service.name": service, "service.namespace": "rl-loop", "process.pid": os.getpid(), **given})


class _Seldom(logging.Filter):
    """Lets a logger say something once in `REPEAT_S` seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._until:
            return False
        self._until = now + REPEAT_S
        return True


_SELDOM = _Seldom()


def _say_seldom() -> None:
    for name in ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal"):
        logger = logging.getLogger(name)
        if _SELDOM not in logger.filters:
            logger.addFilter(_SELDOM)
