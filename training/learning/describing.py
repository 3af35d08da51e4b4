"""The report's part that is known without a gradient step: counts, and summaries of rewards, advantages and drops."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from storage.stages import Histogram
from training.learning import histograms
from training.learning.report import UpdateReport
from training.learning.scoring.gap import Gap
from training.learning.update_inputs import Batch
from training.sampling.samples import Sample
from training.sampling.shaping import shaping_metrics

NAMED = 20
"""Largest number of bad samples that a report names; all are counted."""


def describe(batch: Batch) -> UpdateReport:
    """Builds the part of the report that is known before training."""
    selection, samples = batch.selection, batch.samples
    tokens = [len(sample.token_ids) for sample in samples]
    masked = {**batch.masked_steps, **Counter(f"bad_{one.fault.reason}" for one in batch.bad)}
    return UpdateReport(
        version=batch.version,
        parent=batch.parent.version,
        counts={**selection.counts, "samples": len(samples), "tokens": sum(tokens), "bad_samples": len(batch.bad)},
        excluded=selection.excluded,
        masked_steps=masked,
        bad_samples=tuple(str(one) for one in batch.bad[:NAMED]),
        metrics={
            **_summary("reward", selection.rewards),
            **shaping_metrics(selection.shaping),
            **_of_samples(samples),
            **_dropped(masked),
            **{f"excluded_{reason}": float(count) for reason, count in selection.excluded.items()},
        },
        histograms=_histograms(batch),
    )


def with_gap(report: UpdateReport, gap: Gap, *, masked: int) -> UpdateReport:
    """Adds the gap to the report; trajectories on which trainer and server disagree are counted, and the first ones named."""
    metrics = report.metrics | gap.metrics()
    seen = report.histograms | ({"gap": gap.histogram} if gap.histogram else {})
    report = report.model_copy(update={"metrics": metrics, "histograms": seen})
    if not gap.disagreeing:
        return report
    named = [
        f"{name}: differs from what the server stored by {mean:.3g} nats" for name, mean in gap.disagreeing.items()
    ]
    return report.model_copy(
        update={
            "masked_steps": report.masked_steps | {"bad_gap": masked},
            "metrics": report.metrics | _dropped({"bad_gap": masked}),
            "bad_samples": (*report.bad_samples, *named)[:NAMED],
        }
    )


def why_skipped(batch: Batch) -> str:
    """The reason why there is nothing to train on."""
    return "no trainable steps" if batch.has_signal else "no signal"


def _of_samples(samples: Sequence[Sample]) -> dict[str, float]:
    if not samples:
        return {}
    advantages = [sample.advantage for sample in samples]
    return {
        **_summary("advantage", advantages),
        "advantage_abs_mean": float(np.abs(advantages).mean()),
        "advantage_positive": float((np.array(advantages) > 0).mean()),
        "tokens_mean": float(np.mean([len(sample.token_ids) for sample in samples])),
    }


def _histograms(batch: Batch) -> dict[str, Histogram]:
    found: dict[str, Histogram] = {}
    if batch.selection.rewards:
        found["reward"] = histograms.of_rewards(batch.selection.rewards)
    if batch.samples:
        found["advantage"] = histograms.of_advantages(batch.samples)
        found["lag"] = histograms.of_lags(batch.samples, batch.parent.version)
    return found


def _summary(name: str, values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    found = np.asarray(values, dtype=np.float64)
    return {
        f"{name}_mean": float(found.mean()),
        f"{name}_std": float(found.std()),
        f"{name}_min": float(found.min()),
        f"{name}_max": float(found.max()),
    }


def _dropped(masked: dict[str, int]) -> dict[str, float]:
    return {f"dropped_{reason}": float(count) for reason, count in masked.items()}
