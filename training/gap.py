"""The gap between trainer and server: |log pi - log mu| of the tokens that the trained version itself sampled.

Both hold the same weights then, so the gap is numerics and nothing else: 1e-6 nats where both compute in float32, some 1e-2
where one computes in bfloat16. More means that the server held other weights or saw other inputs. It is judged before the
first optimiser step, per token of the parent's own version: tokens of older versions differ for a good reason, can't be
judged, and hide nobody else's.

A trajectory disagrees when its mean gap is above `max_gap_mean`, or more than `max_gap_fraction` of its tokens are off by
more than a nat. It is masked and named. When more than `max_gap_trajectories` of the judged ones disagree it is no accident
of a few: the update stops.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.config import UpdateConfig
from training.errors import BadInput
from training.samples import Sample

FLOAT32_GAP, BFLOAT16_GAP = 0.02, 0.15
"""Default bounds of a trajectory's mean gap in nats, by what the coarser side computes in. Measured: 8e-7 with float32 on
both sides (CPU, Qwen3-VL of 2 M parameters), 0.2 with pictures of another run. In bfloat16 means of 0.01 to 0.05 are usual."""
LARGE = 1.0
NAMED = 3


class Gap(NamedTuple):
    """What was found about the samples of an update."""

    mean: float
    """Over all judged tokens, in nats."""
    large: float
    """Share of the judged tokens that are off by more than a nat."""
    judged_tokens: int
    disagreeing: dict[str, float]
    """Mean gap of each trajectory that is masked, by id."""

    def metrics(self) -> dict[str, float]:
        """For the report; nothing when no token could be judged."""
        if not self.judged_tokens:
            return {}
        return {"gap_mean": self.mean, "gap_large": self.large}


def measure_gap(
    samples: Sequence[Sample],
    scores: Sequence[NDArray[np.float32]],
    config: UpdateConfig,
    *,
    version: int,
    in_bf16: bool,
) -> Gap:
    """Compares the stored log-probabilities with those of the parent `version`, one array of `scores` per sample.

    Raises `BadInput` when too many trajectories disagree, naming the worst.
    """
    by_trajectory: dict[str, list[NDArray[np.float32]]] = {}
    for sample, found in zip(samples, scores, strict=True):
        if sample.policy_version == version:
            by_trajectory.setdefault(sample.trajectory_id, []).append(np.abs(found - sample.logprobs))
    gaps = {name: np.concatenate(parts) for name, parts in by_trajectory.items()}
    bound = config.max_gap_mean or (BFLOAT16_GAP if in_bf16 else FLOAT32_GAP)
    disagreeing = {
        name: float(gap.mean())
        for name, gap in gaps.items()
        # A gap that is no number is above every bound.
        if not (gap.mean() <= bound and (gap > LARGE).mean() <= config.max_gap_fraction)
    }
    # One trajectory alone may always be at fault: it is masked, and never blocks a run.
    if len(disagreeing) > max(1, config.max_gap_trajectories * len(gaps)):
        raise BadInput(_sentence(disagreeing, judged=len(gaps), version=version, bound=bound))
    every = np.concatenate(list(gaps.values())) if gaps else np.zeros(0, dtype=np.float32)
    kept = [gap for name, gap in gaps.items() if name not in disagreeing]
    agreed = np.concatenate(kept) if kept else every
    if not len(agreed):
        return Gap(0.0, 0.0, 0, disagreeing)
    return Gap(float(agreed.mean()), float((agreed > LARGE).mean()), len(every), disagreeing)


def _sentence(disagreeing: dict[str, float], *, judged: int, version: int, bound: float) -> str:
    worst = sorted(disagreeing, key=lambda name: -np.nan_to_num(disagreeing[name], nan=np.inf))[:NAMED]
    named = ", ".join(f"{name} by {disagreeing[name]:.3g}" for name in worst)
    more = f" and {len(disagreeing) - NAMED} more" if len(disagreeing) > NAMED else ""
    return (
        f"{len(disagreeing)} of {judged} trajectories that version {version} sampled differ from what the trainer gives their "
        f"tokens (at most {bound:g} nats on average): {named}{more}; the server held other weights or saw other inputs: "
        "collect the iteration again"
    )
