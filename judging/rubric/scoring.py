"""Parsed replies -> criteria and reward. Pure. A reply that contradicts itself or the record decides nothing."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.verdict import Confidence
from judging.rubric.record import Record
from judging.rubric.replies import Facts, Support, SureFacts, SureSupport
from judging.undecided import Undecided

SUPPORTED, ANSWERS, REFERENCE, NO_SIDE_EFFECT = (
    "answer_supported",
    "answers_task",
    "matches_reference",
    "no_side_effect",
)


CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")
"""In ascending order."""


class Score(NamedTuple):
    """The reward with its reasons."""

    reward: float
    criteria: dict[str, bool]
    reasons: tuple[str, ...]
    pages: tuple[int, ...]
    """Numbers of the pages that are the evidence."""
    quotes: tuple[str, ...]
    site_at_fault: bool = False
    confidence: Confidence | None = None
    """The lower one of the replies' own estimates; None when the judge was not asked for it."""


def check_pages(pages: Iterable[int], record: Record, shown: frozenset[int], *, needed: str = "") -> None:
    """Raises `Undecided` for pages that do not exist, and when a page is `needed` (for what) and none was shown."""
    cited = set(pages)
    if missing := sorted(page for page in cited if not 1 <= page <= record.pages):
        raise Undecided(
            "missing_evidence", f"the judge cites pages {missing[:10]}; the episode has pages 1 to {record.pages}"
        )
    if needed and not cited & shown:
        raise Undecided("contradiction", f"the judge says that {needed}, without a page that shows it")


def check_support(support: Support, record: Record, shown: frozenset[int]) -> None:
    """Raises `Undecided` when the decision has no evidence."""
    needed = "the answer is supported" if support.supported else ""
    check_pages(support.pages, record, shown, needed=needed)


def check_facts(facts: Facts, record: Record, shown: frozenset[int], *, count: int, has_reference: bool) -> None:
    """Raises `Undecided` when the reply does not decide exactly the questions, each with its evidence."""
    numbers = [fact.number for fact in facts.facts]
    if sorted(numbers) != list(range(1, count + 1)):
        raise Undecided("contradiction", f"expected the facts 1 to {count} once each, found {numbers[:50]}")
    for fact in facts.facts:
        check_pages(fact.pages, record, shown, needed=f"fact {fact.number} is met" if fact.met else "")
    if (facts.matches_reference is None) == has_reference:
        problem = (
            "no decision about the reference answer" if has_reference else "a reference answer that does not exist"
        )
        raise Undecided("contradiction", f"the judge's reply has {problem}")
    effect = "there was a forbidden side effect" if facts.forbidden_side_effect else ""
    check_pages(facts.side_effect_pages, record, shown, needed=effect)
    if facts.site_at_fault and all(fact.met for fact in facts.facts):
        raise Undecided("contradiction", "the judge says that all facts are met and that the site made it impossible")


def score_of(support: Support | None, facts: Facts | None, *, partial: bool) -> Score:
    """The score of checked replies. `support` is None without an answer, `facts` when the answer is unsupported.

    With `partial` the reward is the fraction of the facts that are met, if everything else passes.
    """
    criteria: dict[str, bool] = {}
    reasons: list[str] = []
    pages: list[int] = []
    quotes: list[str] = []
    if support is not None:
        criteria |= {SUPPORTED: support.supported, ANSWERS: support.answers_task}
        reasons.append(f"answer: {support.reason}")
        pages += support.pages
        quotes.append(support.quote)
    if facts is None:
        return Score(0.0, criteria, tuple(reasons), _ordered(pages), _kept(quotes), confidence=_lowest(support))
    if facts.matches_reference is not None:
        criteria[REFERENCE] = facts.matches_reference
    criteria[NO_SIDE_EFFECT] = not facts.forbidden_side_effect
    others = all(criteria.values())
    by_number = sorted(facts.facts, key=lambda fact: fact.number)
    for fact in by_number:
        criteria[f"fact_{fact.number}"] = fact.met
        reasons.append(f"fact {fact.number}: {fact.reason}")
        pages += fact.pages
        quotes.append(fact.quote)
    pages += facts.side_effect_pages
    met = sum(fact.met for fact in by_number) / len(by_number)
    reward = met if partial else float(met == 1)
    return Score(
        reward if others else 0.0,
        criteria,
        tuple(reasons),
        _ordered(pages),
        _kept(quotes),
        facts.site_at_fault,
        _lowest(support, facts),
    )


def _lowest(*replies: Support | Facts | None) -> Confidence | None:
    declared = [reply.confidence for reply in replies if isinstance(reply, SureSupport | SureFacts)]
    return min(declared, key=CONFIDENCES.index, default=None)


def _ordered(pages: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(pages)))


def _kept(quotes: Sequence[str]) -> tuple[str, ...]:
    return tuple(quote[:300] for quote in quotes if quote)
