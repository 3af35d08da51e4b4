"""Spans: the timed parts of a trace. Without tracing a span is one shared object that does nothing.

    with span("step", step=4) as this:
        ..
        this.set(action="click")

A span has the span around it as its parent, also across tasks and threads that asyncio starts in its block; `under` sets
another one. An exception that leaves the block marks it as failed, with its code and the side at fault, and never with its
message, which may quote a page or a prompt.

OpenTelemetry is imported only by a process that traces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, Unpack, cast

from telemetry.attributes import Attributes, exported
from telemetry.ids import ids

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

Kind = Literal["INTERNAL", "CLIENT", "SERVER"]


class Span:
    """A part of a trace. This class is the one where nothing is traced."""

    otel: OtelSpan | None = None
    """OpenTelemetry's own span."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @property
    def trace_id(self) -> str:
        """The id of its trace, 32 hexadecimal digits; empty where nothing is traced."""
        return f"{self.otel.get_span_context().trace_id:032x}" if self.otel is not None else ""

    def set(self, **attributes: Unpack[Attributes]) -> None:
        """Sets attributes. Raises KeyError for one that is not in the table of `telemetry.attributes`."""

    def rename(self, name: str) -> None:
        """Gives it a better name, when that is known later than its beginning."""

    def fail(self, error: str, fault: str | None = None) -> None:
        """Marks it as failed: a code such as `NAVIGATION_TIMEOUT`, and the side at fault (policy, site, infra, judge)."""


class RemoteSpan(Span):
    """A span of another process, as a parent."""

    def __init__(self, otel: OtelSpan) -> None:
        self.otel = otel


class RecordedSpan(Span):
    """A span of this process, sent to the back end when its block ends."""

    def __init__(self, tracer: Tracer, name: str, kind: Kind, attributes: Attributes) -> None:
        from opentelemetry.trace import SpanKind

        self._token: Token[Span] | None = None
        self._own = tracer.start_span(
            name,
            context=_context_of(_active.get()),
            kind=SpanKind[kind],
            attributes=dict(exported(cast(dict[str, object], {**ids(), **attributes}))),
        )
        self.otel = self._own

    def __enter__(self) -> Self:
        self._token = _active.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _active.reset(self._token)
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self.set(cancelled=True)
        elif error is not None:
            self.fail(*_code_and_fault(error))
        self._own.end()

    def set(self, **attributes: Unpack[Attributes]) -> None:
        """Sets attributes. Raises KeyError for one that is not in the table of `telemetry.attributes`."""
        self._own.set_attributes(dict(exported(cast(dict[str, object], attributes))))

    def rename(self, name: str) -> None:
        """Gives it a better name."""
        self._own.update_name(name)

    def fail(self, error: str, fault: str | None = None) -> None:
        """Marks it as failed, by a code and the side at fault."""
        from opentelemetry.trace import StatusCode

        self.set(error=error, fault=fault)
        self._own.set_status(StatusCode.ERROR)


NOTHING = Span()

_tracer: Tracer | None = None
_active: ContextVar[Span] = ContextVar("span", default=NOTHING)


def use_tracer(tracer: Tracer | None) -> None:
    """Begins tracing in this process, or ends it with None; only `telemetry.exporter` calls it."""
    global _tracer
    _tracer = tracer


def is_tracing() -> bool:
    """True if this process records spans."""
    return _tracer is not None


def span(name: str, kind: Kind = "INTERNAL", **attributes: Unpack[Attributes]) -> Span:
    """A span below the current one, which begins now and ends with its `with` block."""
    return NOTHING if _tracer is None else RecordedSpan(_tracer, name, kind, attributes)


def current() -> Span:
    """The span whose block this code runs in."""
    return _active.get()


@contextmanager
def under(parent: Span) -> Generator[None]:
    """Spans of the block are children of `parent`, whichever span the block lies in."""
    token = _active.set(parent)
    try:
        yield
    finally:
        _active.reset(token)


def _context_of(parent: Span) -> Context:
    # Built anew and not taken from OpenTelemetry's current context: Prefect and MLflow keep spans of their own there.
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(parent.otel, Context()) if parent.otel is not None else Context()


def _code_and_fault(error: BaseException) -> tuple[str, str | None]:
    """The code and the side at fault of an error that names them, as those of `agent` and of `browser_service` do."""
    told = getattr(error, "failure", error)
    code, side = getattr(told, "code", None), getattr(told, "side", None) or getattr(told, "fault", None)
    return code if isinstance(code, str) else type(error).__name__, side if isinstance(side, str) else None
