"""Divergence: an update that ends with numbers which are not finite. It stops with a sentence, and no version is written."""

import math
from pathlib import Path

from training.errors import Diverged
from training.soundness import why_unsound

ADVICE = "lower update.learning_rate or update.max_grad_norm"


def finite_scores(scores: list[list[float]]) -> list[list[float]]:
    """The log-probabilities that the new weights give the canaries. Raises Diverged when one of them is not finite."""
    if not all(math.isfinite(one) for row in scores for one in row):
        raise Diverged(
            f"training diverged: the new weights give log-probabilities that are not finite; nothing is written: {ADVICE}"
        )
    return scores


def require_sound(folder: Path, version: int) -> None:
    """Raises Diverged for a policy that was just written and has a number that is not finite."""
    if why := why_unsound(folder):
        raise Diverged(f"training diverged: {why}, so version {version} is not written; {ADVICE}")
