"""Verifies a text: equal to one of the expected ones, or, where the task allows it, within a longer answer."""

from judging.verifiers.expectations import TextExpectation
from judging.verifiers.findings import Finding, by_place, shown, undecided
from judging.verifiers.wording import composed, has_words, normalised, said


def check_text(expected: TextExpectation, answer: str) -> Finding:
    """Compares the answer with each accepted text. Undecided when the text stands within other words and `within` is
    False, and when it is missing and `free_wording` is True."""
    form = composed if expected.exact else normalised
    given, whole = form(said(answer)), form(answer)
    accepted = [form(text) for text in expected.any_of]
    named = " or ".join(shown(text) for text in expected.any_of[:3])
    inside = any(has_words(whole, text) for text in accepted)
    is_whole = any(text and text in (given, whole) for text in accepted)
    if expected.free_wording and not is_whole and not inside:
        return undecided(f"the answer {shown(answer)} may say {named} in other words: not decided here")
    return by_place(
        "text", expected=named, answer=answer, is_whole=is_whole, is_inside=inside, accepts_inside=expected.within
    )
