"""Effect of an action, as a sentence for the agent: two observations in, text out.

A list of changes after each action was worth seven to ten points of success to a 4B agent (OpenWebRL, arXiv 2606.02031,
ablation without textual feedback).
"""

from collections import Counter

from browser_service.models import Mark, Observation

NAMED = 4
"""Largest number of elements that are named; the rest is counted."""


def effect(before: Observation, after: Observation) -> str:
    """Differences of the page. Example: `the page is now "Cart" at http://shop/cart`; `nothing on the page changed`."""
    changes = [*_moves(before, after), *_happenings(after)]
    if not changes:
        changes = _inside(before, after)
    return "; ".join(changes) or "nothing on the page changed"


def _moves(before: Observation, after: Observation) -> list[str]:
    changes: list[str] = []
    if len(after.tabs) != len(before.tabs) and before.tabs:
        changes.append(f"there are {len(after.tabs)} tabs now, there were {len(before.tabs)}")
    if after.url != before.url:
        changes.append(f"the page is now {_quoted(after.title)} at {after.url[:200]}")
    elif after.title != before.title:
        changes.append(f"the page's title is now {_quoted(after.title)}")
    return changes


def _happenings(after: Observation) -> list[str]:
    said = [f"the page said {_quoted(message)} in a dialog, which was answered" for message in after.dialogs]
    got = [f"{'could not download' if file.error else 'downloaded'} {_quoted(file.name)}" for file in after.downloads]
    return said + after.notices + got


def _inside(before: Observation, after: Observation) -> list[str]:
    """Changes of a document that stayed: of its elements, or else of the picture alone."""
    changes = _elements(before.marks, after.marks)
    if not changes and _picture(before) != _picture(after):
        changes.append("the picture of the page changed")
    if not after.settled:
        changes.append("the page is still busy")
    return changes


def _elements(before: list[Mark], after: list[Mark]) -> list[str]:
    was, now = Counter(map(_name, before)), Counter(map(_name, after))
    changes = [
        *_listed("appeared", list((now - was).elements())),
        *_listed("disappeared", list((was - now).elements())),
    ]
    states = {_name(mark): mark for mark in before}
    for mark in after:
        old = states.get(_name(mark))
        if old is None or was[_name(mark)] > 1:  # elements with equal names can't be distinguished
            continue
        if mark.checked != old.checked and mark.checked is not None:
            changes.append(f"{_name(mark)} is {'checked' if mark.checked else 'not checked any more'}")
        if mark.value != old.value and mark.value is not None:
            changes.append(f"{_name(mark)} now has {_quoted(mark.value)}")
    return changes


def _listed(verb: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return [f"{verb}: {', '.join(names[:NAMED])}{more}"]


def _name(mark: Mark) -> str:
    return f"{_quoted(mark.name)} {mark.role}"


def _quoted(text: str) -> str:
    """Text of a page on one line, inside quotes."""
    return '"' + " ".join(text.split()).replace('"', "'")[:80] + '"'


def _picture(observation: Observation) -> str | None:
    return observation.screenshot.sha256 if observation.screenshot else None
