"""A check of every judge's evidence: the steps that a verdict cites must exist in the trajectory."""

from agent.types import Trajectory
from agent.verdict import Verdict

EVIDENCE_MISSING = "evidence_missing"
"""Flag of a verdict that cites steps which do not exist."""


def missing_steps(verdict: Verdict, trajectory: Trajectory) -> list[int]:
    """The cited steps that do not exist. The page after the last action has the number `len(steps)`, if it was seen."""
    pages = len(trajectory.steps) + (trajectory.final_observation is not None)
    return [step for step in verdict.evidence_steps if not 0 <= step < pages]


def with_real_evidence(verdict: Verdict, trajectory: Trajectory) -> Verdict:
    """The verdict, flagged if its evidence does not exist; then a reward above 0 is withdrawn, and it is unjudged."""
    missing = missing_steps(verdict, trajectory)
    if not missing:
        return verdict
    flags = tuple(dict.fromkeys((*verdict.flags, EVIDENCE_MISSING)))
    if not verdict.reward:
        return verdict.model_copy(update={"flags": flags})
    why = f"not judged: cites the steps {missing[:10]}, of {len(trajectory.steps)}; {verdict.evidence}"[:2_000]
    return verdict.model_copy(update={"reward": None, "unjudged": "missing_evidence", "flags": flags, "evidence": why})
