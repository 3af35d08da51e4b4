"""Agreement of a judge with a reference: confusion, error rates with intervals, Cohen's kappa.

scikit-learn has kappa and statsmodels the interval; both are formulas of a line, and neither is a dependency.
"""

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import NamedTuple

from agent.verdict import Verdict

SUCCESS = 1.0
"""Least reward of a success."""


class Rate(NamedTuple):
    """A share with its 95 % interval (Wilson 1927). Example: `Rate(0.1, 0.03, 0.29)`."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


class Agreement(NamedTuple):
    """Counts of trajectories on which both decided, and the ids on which they differ."""

    true_positives: int
    false_positives: tuple[str, ...]
    """Successes of the judge that are none for the reference."""
    false_negatives: tuple[str, ...]
    true_negatives: int
    undecided: int
    """Trajectories on which the judge, the reference or both have no reward."""

    @property
    def decided(self) -> int:
        """Trajectories on which both decided."""
        wrong = len(self.false_positives) + len(self.false_negatives)
        return self.true_positives + self.true_negatives + wrong

    @property
    def false_positive_rate(self) -> Rate | None:
        """Share of the reference's failures that the judge calls a success; None without failures."""
        wrong = len(self.false_positives)
        return wilson(wrong, wrong + self.true_negatives)

    @property
    def false_negative_rate(self) -> Rate | None:
        """Share of the reference's successes that the judge calls a failure; None without successes."""
        wrong = len(self.false_negatives)
        return wilson(wrong, wrong + self.true_positives)

    @property
    def precision(self) -> Rate | None:
        """Share of the judge's successes that are the reference's too; None where the judge has none."""
        return wilson(self.true_positives, self.true_positives + len(self.false_positives))

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa (1960): agreement beyond chance, 1 at most; None where chance alone agrees fully."""
        total = self.decided
        if not total:
            return None
        judged = self.true_positives + len(self.false_positives)
        actual = self.true_positives + len(self.false_negatives)
        observed = (self.true_positives + self.true_negatives) / total
        chance = (judged * actual + (total - judged) * (total - actual)) / total**2
        return None if chance == 1 else (observed - chance) / (1 - chance)


def agreement(reference: Iterable[Verdict], judged: Iterable[Verdict]) -> Agreement:
    """Compares verdicts on the same trajectories; those that only one side has are left out."""
    expected = {verdict.trajectory_id: verdict.reward for verdict in reference}
    counts = {(True, True): 0, (False, False): 0}
    wrong: dict[bool, list[str]] = {True: [], False: []}
    undecided = 0
    for verdict in judged:
        if verdict.trajectory_id not in expected:
            continue
        theirs = expected[verdict.trajectory_id]
        if verdict.reward is None or theirs is None:
            undecided += 1
            continue
        said, true = verdict.reward >= SUCCESS, theirs >= SUCCESS
        if said == true:
            counts[said, true] += 1
        else:
            wrong[said].append(verdict.trajectory_id)
    return Agreement(
        true_positives=counts[True, True],
        false_positives=tuple(wrong[True]),
        false_negatives=tuple(wrong[False]),
        true_negatives=counts[False, False],
        undecided=undecided,
    )


def wilson(count: int, total: int, confidence: float = 0.95) -> Rate | None:
    """The share `count / total` with Wilson's interval; None without a total."""
    if not total:
        return None
    z, share = NormalDist().inv_cdf((1 + confidence) / 2), count / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return Rate(share, max(0.0, middle - half), min(1.0, middle + half))
