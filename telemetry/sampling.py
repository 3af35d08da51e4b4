"""Sampling by episode: OTEL_TRACES_SAMPLER_ARG=0.01 keeps every hundredth episode with all that happened in it.

A run is a single trace, so the standard sampler, which draws by trace, would keep all of it or nothing. Runs, iterations and
stages are always kept; an episode is drawn by its trajectory id, so each process that asks decides the same.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span

from telemetry.attributes import EPISODE, KEYS
from telemetry.errors import TracingError

FINENESS = 2**32


def share_of(environment: Mapping[str, str]) -> float:
    """The share of episodes that OTEL_TRACES_SAMPLER keeps, from 0 to 1. Raises `TracingError` for an unknown sampler."""
    name = environment.get("OTEL_TRACES_SAMPLER", "").removeprefix("parentbased_") or "always_on"
    given = environment.get("OTEL_TRACES_SAMPLER_ARG") or "1"
    match name:
        case "always_on":
            return 1.0
        case "always_off":
            return 0.0
        case "traceidratio":
            try:
                share = float(given)
            except ValueError:
                share = -1.0
            if 0 <= share <= 1:
                return share
            raise TracingError(f"expected OTEL_TRACES_SAMPLER_ARG to be from 0 to 1, found {given[:40]!r}")
    raise TracingError(
        f"expected OTEL_TRACES_SAMPLER to be always_on, always_off or traceidratio, found {name[:40]!r}; unset it"
    )


class EpisodeSampler(Sampler):
    """Keeps every span but those of the episodes outside of the share."""

    def __init__(self, share: float) -> None:
        self._kept = share * FINENESS

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decides about a span at its beginning."""
        parent = get_current_span(parent_context).get_span_context()
        is_out = parent.is_valid and not parent.trace_flags.sampled
        if name == EPISODE and not is_out:
            drawn = str((attributes or {}).get(KEYS["trajectory"], "")).encode()
            is_out = zlib.crc32(drawn) >= self._kept
        return SamplingResult(Decision.DROP if is_out else Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        """The sampler in a sentence."""
        return f"episodes with a share of {self._kept / FINENESS:g}"
