"""Verifies the end of an episode from the record: its last page, or the environment's state."""

from collections.abc import Iterator
from typing import Any

from agent.types import Trajectory
from browser_service.models import Observation
from judging.verifiers.expectations import JsonExpectation, PageExpectation, StateExpectation
from judging.verifiers.findings import Finding, shown, undecided
from judging.verifiers.json_answers import differences, finding_of
from judging.verifiers.urls import url_criteria
from judging.verifiers.wording import has_words, normalised

CUT_AT = 50_000
"""Number of characters at which the browser service cuts the visible text of a page."""


def check_page(expected: PageExpectation, trajectory: Trajectory) -> Finding:
    """Compares the page after the last action with the rules.

    Undecided when it was not observed, when a rule on visible text has no recorded text, and when all depends on a part
    of the text that was cut off.
    """
    page = trajectory.final_observation
    if page is None:
        return undecided("the last page was not observed")
    criteria = url_criteria(expected.url, page.url) if expected.url else {}
    if expected.title is not None:
        criteria["title"] = normalised(page.title) == normalised(expected.title)
    texts = dict(_texts(expected, page))
    criteria |= {name: ok for name, ok in texts.items() if ok is not None}
    if all(criteria.values()) and None in texts.values():
        missing = next(name for name, ok in texts.items() if ok is None)
        return undecided(f"the record of the last page has too little visible text to decide: {missing}")
    wrong = ", ".join(name for name, ok in criteria.items() if not ok)
    result = f"fails in {wrong[:200]}" if wrong else f"is as expected in {len(criteria)} rules"
    return Finding(not wrong, criteria, f"the last page {shown(page.url)} {result}")


def check_state(expected: StateExpectation, trajectory: Trajectory) -> Finding:
    """Compares the environment's record with the expected facts. Undecided when the record lacks one of the keys: then
    the environment did not look, or broke before it could."""
    if not trajectory.final_state:
        return undecided("the environment recorded no state")
    if (lack := next(_lacking(expected.state, trajectory.final_state), None)) is not None:
        return undecided(f"the environment's record lacks {shown(lack)}")
    rules = JsonExpectation(value=None, exact=True, extra_keys=True, absolute=expected.absolute)
    return finding_of(differences(rules, expected.state, trajectory.final_state), "the environment's state")


def _texts(expected: PageExpectation, page: Observation) -> Iterator[tuple[str, bool | None]]:
    """The result of each rule on visible text; None when the recorded text can't tell."""
    whole = page.text is not None and len(page.text) < CUT_AT and not page.partial
    text = normalised(page.text or "")
    for phrase in expected.has_text:
        yield f"text has {shown(phrase)}", has_words(text, normalised(phrase)) or (False if whole else None)
    for phrase in expected.lacks_text:
        there = has_words(text, normalised(phrase))
        yield f"text lacks {shown(phrase)}", (True if whole else None) if not there else False


def _lacking(expected: dict[str, Any], given: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yields the paths of expected keys that the record does not have."""
    for key, value in expected.items():
        if key not in given:
            yield f"{path}{key}"
        elif isinstance(value, dict) and isinstance(given[key], dict):
            yield from _lacking(value, given[key], f"{path}{key}.")
