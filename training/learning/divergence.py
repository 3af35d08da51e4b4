"""Divergence: an update that ends with numbers that are not finite stops with one sentence and writes no version."""

import math
from pathlib import Path
from typing import Literal

from training.checkpointing.soundness import why_unsound
from training.errors import Diverged

ADVICE = "lower update.learning_rate or update.max_grad_norm"


def finite_scores(scores: list[list[float]], *, of: Literal["new", "parent's"] = "new") -> list[list[float]]:
    """Returns the canaries' log-probabilities under some weights. Raises Diverged when one of them is not finite."""
    if all(math.isfinite(one) for row in scores for one in row):
        return scores
    begun, advice = ("training diverged", ADVICE) if of == "new" else ("no training", "start from an earlier version")
    raise Diverged(
        f"{begun}: the {of} weights give log-probabilities that are not finite; nothing is written: {advice}"
    )


def require_sound(folder: Path, version: int) -> None:
    """Raises Diverged for a newly written policy with a number that is not finite."""
    if why := why_unsound(folder):
        raise Diverged(f"training diverged: {why}, so version {version} is not written; {ADVICE}")
