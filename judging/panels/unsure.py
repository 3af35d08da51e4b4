"""Unsure verdicts of a judge model: those that a stronger judge should decide.

Published judges err by calling failures a success (WebVoyager's in 45 % of the failures and more, WebJudge's in 22 %,
arXiv 2604.06240), and a parser that guesses turns unreadable replies into successes. Therefore a verdict is unsure if
- the reply cannot be used: it has no verdict, contradicts itself, or cites evidence that does not exist;
- the judge declares too little confidence. It is asked in three words, because models overstate numbers;
- it is a success, and a page of the episode addresses the judge: the page may have talked it into it.

A judge that did not reply at all is in trouble and not unsure: to send everything to the expensive judge then would spend
a budget silently, so the episode stays unjudged and a resume tries again.
"""

from agent.verdict import Confidence, Verdict, outcome_of
from judging.rubric.scoring import CONFIDENCES
from judging.steering import PAGE

UNUSABLE = frozenset(
    {
        *("empty", "truncated", "oversized", "surrogate", "not_json", "extra_text", "duplicate_key", "not_finite"),
        *("wrong_form", "marker", "contradiction", "missing_evidence", "refused", "too_long"),
    }
)
"""Codes of replies that another judge may give better."""


def why_unsure(verdict: Verdict, sure: Confidence) -> str:
    """The reason why a verdict is unsure, in a few words; empty if it is sure, or if another judge could not help."""
    if verdict.blocked:
        return ""
    if verdict.reward is None:
        return f"its reply is unusable: {verdict.unjudged}" if verdict.unjudged in UNUSABLE else ""
    if verdict.confidence is not None and CONFIDENCES.index(verdict.confidence) < CONFIDENCES.index(sure):
        return f"its confidence is {verdict.confidence}"
    if outcome_of(verdict) == "success" and PAGE in verdict.flags:
        return "it is a success, and a page addresses the judge"
    return ""
