"""A subprocess in the trace of its caller, with the caller's ids in its log."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from telemetry.errors import TracingError
from telemetry.exporter import check, tracing
from telemetry.ids import bound
from telemetry.propagation import ids_in, parent_of
from telemetry.spans import span, under

logger = logging.getLogger(__name__)


@contextmanager
def called_by(traceparent: str, baggage: str, *, service: str) -> Generator[None]:
    """In the block, the caller's ids are in the log; the block is a span below the caller's, if that is traced.

    `service` names the process in traces. See `telemetry.propagation.id_environment` for the two texts.
    """
    wanted = bool(traceparent) and _is_possible()
    # The parent is read when tracing has begun.
    with bound(**ids_in(baggage)), tracing(service, wanted=wanted), under(parent_of(traceparent)), span(service):
        yield


def _is_possible() -> bool:
    try:
        return check()
    except TracingError as error:  # the caller's environment, which it has checked, was another one
        logger.warning("this process is not traced: %s", error)
        return False
