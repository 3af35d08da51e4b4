"""The report about a judge: its agreement with a reference, its cost, what it left undecided, and where it was wrong."""

from collections import Counter
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from agent.verdict import Verdict
from judging.meta.agreement import Agreement, Rate, agreement
from judging.meta.metrics import flags_of

EVIDENCE = 300
"""Characters of a verdict's evidence in a report."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Place(_Part):
    """A step that was the evidence. Example: `Place(step=3, screenshot="/runs/demo/../ab12.png", link="http://.. ")`."""

    step: int
    """Index of the step; the number of steps is the page after the last action."""
    screenshot: str = ""
    """Path of its picture, whether it exists or not; empty where the page has none."""
    link: str = ""
    """Address of the trajectory in a dashboard; empty where none is served."""


class Disagreement(_Part):
    """A trajectory on which judge and reference differ."""

    trajectory_id: str
    kind: str
    """`false positive`: a success for the judge alone; `false negative`: for the reference alone."""
    judge: str
    reference: str
    """Name of the reference's judge or person."""
    evidence: str
    """The judge's words; of a model, and untrusted."""
    flags: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()


class JudgeReport(_Part):
    """One judge against one reference. Rates are `[value, low, high]` with 95 % intervals, or null without a denominator."""

    judge: str
    reference: str
    verdicts: int
    """Verdicts of the judge, on whatever trajectories."""
    decided: int
    """Trajectories on which both have a reward."""
    undecided: int
    """Trajectories of both on which one or both have none."""
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    false_positive_rate: tuple[float, float, float] | None
    false_negative_rate: tuple[float, float, float] | None
    precision: tuple[float, float, float] | None
    kappa: float | None
    cost: float
    """Sum over the judge's verdicts, in the currency of its price list."""
    cost_per_verdict: float
    tokens_per_verdict: float
    seconds_per_verdict: float
    unjudged: dict[str, int]
    """The judge's verdicts without a reward, by reason."""
    flags: dict[str, int]
    """Suspicions about the judge's verdicts, such as texts that address the judge, and evidence that does not exist."""
    disagreements: tuple[Disagreement, ...]


PlacesOf = Callable[[Verdict], tuple[Place, ...]]
"""The steps that a verdict rests on."""


def report_of(
    reference: Sequence[Verdict], judged: Sequence[Verdict], *, judge: str, against: str, places: PlacesOf
) -> JudgeReport:
    """The report. `judge` and `against` are the names of the two sides."""
    found = agreement(reference, judged)
    count = max(1, len(judged))
    cost = sum(verdict.cost for verdict in judged)
    return JudgeReport(
        judge=judge,
        reference=against,
        verdicts=len(judged),
        decided=found.decided,
        undecided=found.undecided,
        true_positives=found.true_positives,
        false_positives=len(found.false_positives),
        false_negatives=len(found.false_negatives),
        true_negatives=found.true_negatives,
        false_positive_rate=found.false_positive_rate,
        false_negative_rate=found.false_negative_rate,
        precision=found.precision,
        kappa=found.kappa,
        cost=cost,
        cost_per_verdict=cost / count,
        tokens_per_verdict=sum(verdict.tokens_in + verdict.tokens_out for verdict in judged) / count,
        seconds_per_verdict=sum(verdict.seconds for verdict in judged) / count,
        unjudged=dict(sorted(Counter(_reason(verdict) for verdict in judged if verdict.reward is None).items())),
        flags=dict(sorted(Counter(flag for verdict in judged for flag in flags_of(verdict)).items())),
        disagreements=_disagreements(found, reference, judged, places),
    )


def _reason(verdict: Verdict) -> str:
    return "blocked" if verdict.blocked else verdict.unjudged or "no reason"


def _disagreements(
    found: Agreement, reference: Sequence[Verdict], judged: Sequence[Verdict], places: PlacesOf
) -> tuple[Disagreement, ...]:
    theirs = {verdict.trajectory_id: verdict.judge for verdict in reference}
    ours = {verdict.trajectory_id: verdict for verdict in judged}
    kinds = (("false positive", found.false_positives), ("false negative", found.false_negatives))
    return tuple(
        Disagreement(
            trajectory_id=name,
            kind=kind,
            judge=ours[name].judge,
            reference=theirs[name],
            evidence=" ".join(ours[name].evidence.split())[:EVIDENCE],
            flags=flags_of(ours[name]),
            places=places(ours[name]),
        )
        for kind, names in kinds
        for name in names
    )


def text_of(report: JudgeReport, *, shown: int = 10) -> str:
    """The report as lines: confusion, rates, kappa, cost, unjudged, flags, and at most `shown` disagreements of a kind."""
    kappa = "undefined: both always say the same" if report.kappa is None else f"{report.kappa:.3f}"
    lines = [
        f"{report.judge} against {report.reference}: both decided on {report.decided} trajectories, "
        f"{report.undecided} without a reward on one side",
        "                     reference success   reference failure",
        f"judge says success   {report.true_positives:17d}   {report.false_positives:17d}",
        f"judge says failure   {report.false_negatives:17d}   {report.true_negatives:17d}",
        f"false positives      {_rate(report.false_positive_rate, 'the reference has no failure')}",
        f"false negatives      {_rate(report.false_negative_rate, 'the reference has no success')}",
        f"precision            {_rate(report.precision, 'the judge has no success')}",
        f"Cohen's kappa        {kappa}",
        f"per verdict          {report.cost_per_verdict:.5f} cost, {report.tokens_per_verdict:.0f} tokens, "
        f"{report.seconds_per_verdict:.2f} s",
        *(f"unjudged, {reason}: {count}" for reason, count in report.unjudged.items()),
        *(f"flag, {flag}: {count}" for flag, count in report.flags.items()),
    ]
    for kind in ("false positive", "false negative"):
        found = [one for one in report.disagreements if one.kind == kind]
        for one in found[:shown]:
            lines += [f"{kind}: {one.trajectory_id}", *(f"    {_place(place)}" for place in one.places)]
        if len(found) > shown:
            lines.append(f"{kind}: {len(found) - shown} more")
    return "\n".join(lines)


def _rate(rate: tuple[float, float, float] | None, without: str) -> str:
    return without if rate is None else str(Rate(*rate))


def _place(place: Place) -> str:
    return "  ".join(filter(None, (f"step {place.step}", place.screenshot, place.link)))
