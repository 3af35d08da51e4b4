"""The opinions behind verdicts: of each judge that a chain asked, or of the one that decided alone."""

from collections import defaultdict
from collections.abc import Iterable

from agent.verdict import Opinion, Verdict
from judging.chain import opinion_of

VERIFIER = "verifier"
"""Name of the environment's own check in a chain."""


def opinions_of(verdict: Verdict) -> tuple[Opinion, ...]:
    """The opinions behind a verdict; its own when only one judge was asked."""
    return verdict.opinions or (opinion_of(verdict, verdict.judge),)


def by_judge(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Opinion]]:
    """Opinions by judge and trajectory id, judges in the order of their first appearance."""
    found: dict[str, dict[str, Opinion]] = defaultdict(dict)
    for verdict in verdicts:
        for opinion in opinions_of(verdict):
            found[opinion.judge][verdict.trajectory_id] = opinion
    return dict(found)


def verdicts_of(verdicts: Iterable[Verdict], judge: str) -> list[Verdict]:
    """The opinions of one judge as verdicts, where it was asked.

    Evidence, steps and quotes are those of the chain's verdict, where this judge decided; otherwise empty.
    """
    return [
        verdict if not verdict.opinions else _as_verdict(verdict, opinion)
        for verdict in verdicts
        for opinion in opinions_of(verdict)
        if opinion.judge == judge
    ]


def _as_verdict(verdict: Verdict, opinion: Opinion) -> Verdict:
    # The decision belongs to the first opinion that decided; it alone has the evidence.
    decider = next((one for one in verdict.opinions if one.reward is not None or one.blocked), None)
    fields = opinion.model_dump()
    if opinion is decider:
        return verdict.model_copy(update=fields | {"opinions": (), "flags": opinion.flags})
    return Verdict(trajectory_id=verdict.trajectory_id, **fields)
