"""The gap between trainer and server: |log pi - log mu| of the tokens that the trained version itself sampled.

Trainer and server then hold the same weights, so the gap is numerical error only: 1e-6 nats where both compute in
float32, some 1e-2 where one computes in bfloat16. A larger gap means that the server held other weights or saw other
inputs. It is measured before the first optimiser step, on tokens of the parent's own version only: tokens of older
versions differ for a good reason and can't be checked this way. Their mean difference is reported (`gap_stale`); they
are masked only if not finite. Where rollouts overlap with updates all tokens may be older; then some are scored under the
version that sampled them (`own_version`), and these are the ones that are judged.

A trajectory disagrees when its mean gap is above `max_gap_mean`, or that of a single step, for one picture of many may be
at fault; or when more than `max_gap_fraction` of its tokens differ by more than a nat. A step may differ by three times as much where
one side computes in bfloat16, or a bound is configured: a few tokens do not average such errors out. It is masked and named.
When more than `max_gap_trajectories` of the judged ones disagree the cause is systematic: the update stops.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.stages import Histogram
from training.config import UpdateConfig
from training.errors import BadInput
from training.learning.histograms import of_gaps
from training.sampling.samples import Sample

FLOAT32_GAP, BFLOAT16_GAP = 0.02, 0.15
"""Default bounds of a trajectory's mean gap in nats, for the coarser precision of the two sides. Measured: 8e-7 with
float32 on both sides (CPU, Qwen3-VL of 2 M parameters), 0.2 with pictures of another run. In bfloat16 means of 0.01 to
0.05 are usual."""
STEP_IN_BFLOAT16 = 3.0
"""The bound of a single step where one side may compute in bfloat16, in bounds of a trajectory. Not measured yet."""
LARGE = 1.0
"""Token gap that counts as large, in nats."""
NAMED = 3

Numbers = NDArray[np.float32]
ByStep = Mapping[tuple[str, int], Numbers]
"""Log-probabilities (T,) by trajectory and step."""


class Gap(NamedTuple):
    """Measured gap of the samples of an update."""

    mean: float
    """Mean over the judged tokens of trajectories that agree, in nats."""
    large: float
    """Share of the judged tokens that differ by more than a nat."""
    largest: float
    """Largest gap of a judged token, in nats."""
    judged_tokens: int
    """Number of judged tokens."""
    stale_mean: float | None
    """Mean over the tokens of older versions, in nats: the policy's change since then, plus any error of the server."""
    disagreeing: dict[str, float]
    """Mean gap of each masked trajectory, or of its worst step if only that is above its bound, by id."""
    histogram: Histogram | None = None
    """Of the judged tokens."""

    def metrics(self) -> dict[str, float]:
        """Metrics for the report; means without any tokens are left out."""
        found = {"gap_tokens": float(self.judged_tokens)}
        if self.judged_tokens:
            found |= {"gap_mean": self.mean, "gap_large": self.large, "gap_max": self.largest}
        return found if self.stale_mean is None else found | {"gap_stale": self.stale_mean}


def measure_gap(
    samples: Sequence[Sample],
    scores: Sequence[Numbers],
    config: UpdateConfig,
    *,
    version: int,
    in_bf16: bool,
    own: ByStep | None = None,
) -> Gap:
    """Compares the stored log-probabilities with those of the parent `version`, one array of `scores` per sample.

    `own` has scores of some samples of older versions, by trajectory and step, under the version that sampled them. Raises
    `BadInput` when too many trajectories disagree, naming the worst.
    """
    pairs = list(zip(samples, scores, strict=True))
    known = own or {}
    steps = _by_trajectory(
        [
            *(pair for pair in pairs if pair[0].policy_version == version),
            *((one, known[key]) for one in samples if (key := (one.trajectory_id, one.step)) in known),
        ]
    )
    old_steps = _by_trajectory(pair for pair in pairs if pair[0].policy_version != version)
    gaps, stale = ({name: _joined(some) for name, some in each.items()} for each in (steps, old_steps))
    bound = config.max_gap_mean or (BFLOAT16_GAP if in_bf16 else FLOAT32_GAP)
    is_exact = not (in_bf16 or config.max_gap_mean)
    of_step = bound * (1.0 if is_exact else STEP_IN_BFLOAT16)
    disagreeing = {
        name: float(gap.mean()) if not gap.mean() <= bound else _worst(steps[name])
        for name, gap in gaps.items()
        # NaN is above every bound.
        if not (
            gap.mean() <= bound and _worst(steps[name]) <= of_step and (gap > LARGE).mean() <= config.max_gap_fraction
        )
    }
    # A single disagreeing trajectory is masked and never stops an update.
    if len(disagreeing) > max(1, config.max_gap_trajectories * len(gaps)):
        sampled_by = f"version {version}" if not known else "an older version"
        raise BadInput(_sentence(disagreeing, judged=len(gaps), sampled_by=sampled_by, bound=bound))
    # Tokens of an older version may have any finite gap, but no loss can be computed from one that is not finite.
    disagreeing |= {name: math.nan for name, gap in stale.items() if not np.isfinite(gap).all()}
    agreed = _joined(gap for name, gap in gaps.items() if name not in disagreeing)
    old = _joined(gap for name, gap in stale.items() if name not in disagreeing)
    return Gap(
        mean=float(agreed.mean()) if len(agreed) else 0.0,
        large=float((agreed > LARGE).mean()) if len(agreed) else 0.0,
        largest=float(agreed.max()) if len(agreed) else 0.0,
        judged_tokens=len(agreed),
        stale_mean=float(old.mean()) if len(old) else None,
        disagreeing=disagreeing,
        histogram=of_gaps(agreed) if len(agreed) else None,
    )


def _by_trajectory(pairs: Iterable[tuple[Sample, Numbers]]) -> dict[str, list[Numbers]]:
    """|log pi - log mu| of the tokens of each trajectory, by step."""
    parts: dict[str, list[Numbers]] = {}
    for sample, found in pairs:
        parts.setdefault(sample.trajectory_id, []).append(np.abs(found - sample.logprobs))
    return parts


def _worst(steps: Iterable[Numbers]) -> float:
    """The largest mean of a step; NaN if any is."""
    return float(np.max([step.mean() for step in steps if len(step)], initial=0.0))


def _joined(gaps: Iterable[Numbers]) -> Numbers:
    return np.concatenate([np.zeros(0, dtype=np.float32), *gaps])


def _sentence(disagreeing: dict[str, float], *, judged: int, sampled_by: str, bound: float) -> str:
    worst = sorted(disagreeing, key=lambda name: -np.nan_to_num(disagreeing[name], nan=np.inf))[:NAMED]
    named = ", ".join(f"{name} by {disagreeing[name]:.3g}" for name in worst)
    more = f" and {len(disagreeing) - NAMED} more" if len(disagreeing) > NAMED else ""
    return (
        f"{len(disagreeing)} of {judged} trajectories that {sampled_by} sampled differ from what the trainer gives their "
        f"tokens (at most {bound:g} nats on average): {named}{more}; the server held other weights or saw other inputs: "
        "collect the iteration again, or raise update.max_gap_mean if the server computes in a coarser precision"
    )
