"""The current span and ids, from process to process: W3C Trace Context (`traceparent`) and W3C Baggage (`baggage`).

    calls of the browser service   `id_headers()` -> `parent_of(..)` and `ids_in(..)` at the server
    calls of a model server        `trace_headers()`: the span alone, which vLLM understands
    a subprocess                   `id_environment()` -> TRACEPARENT and BAGGAGE, as OpenTelemetry names them

The ids travel whether or not anything is traced: the lines of the browser service's log carry them, too.
"""

from typing import cast
from urllib.parse import quote, unquote

from telemetry.attributes import IDENTIFIER
from telemetry.ids import Ids, ids
from telemetry.spans import NOTHING, RemoteSpan, Span, current, is_tracing

TRACEPARENT, BAGGAGE = "traceparent", "baggage"
CARRIED: dict[str, type[str] | type[int]] = {"run": str, "iteration": int, "trajectory": str, "attempt": int}
"""The ids that travel, and their types."""
LONGEST_BAGGAGE = 1_000
"""Characters of baggage that are read."""


def traceparent() -> str | None:
    """The current span, such as `00-<32 digits>-<16 digits>-01`; None where nothing is traced."""
    otel = current().otel
    if otel is None:
        return None
    context = otel.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_headers() -> dict[str, str]:
    """The headers of a request that name the current span; none where nothing is traced."""
    value = traceparent()
    return {TRACEPARENT: value} if value else {}


def id_headers() -> dict[str, str]:
    """The headers of a request that name the current span and the current ids."""
    carried = [f"{name}={quote(str(value))}" for name, value in ids().items() if name in CARRIED]
    return trace_headers() | ({BAGGAGE: ",".join(carried)} if carried else {})


def id_environment() -> dict[str, str]:
    """The variables of a subprocess's environment that name the current span and the current ids."""
    return {name.upper(): value for name, value in id_headers().items()}


def parent_of(value: str | None) -> Span:
    """The span that a `traceparent` names, as a parent; no span if this process does not trace or the value is none."""
    if not value or not is_tracing():
        return NOTHING
    from opentelemetry.context import Context
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found = get_current_span(TraceContextTextMapPropagator().extract({TRACEPARENT: value}, Context()))
    return RemoteSpan(found) if found.get_span_context().is_valid else NOTHING


def ids_in(baggage: str) -> Ids:
    """The ids in a `baggage` header. Members that are no ids of ours, or do not look like one, are left out."""
    found: dict[str, str | int] = {}
    for member in baggage[:LONGEST_BAGGAGE].split(","):
        name, _, value = member.partition(";")[0].partition("=")
        kind, text = CARRIED.get(name.strip()), unquote(value.strip())
        if kind is str and IDENTIFIER.fullmatch(text):
            found[name.strip()] = text
        elif kind is int and text.isdecimal() and len(text) < 10:
            found[name.strip()] = int(text)
    return cast(Ids, found)
