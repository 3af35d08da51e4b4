"""The families of the e-mail inbox: find a mail by its sender; reply, forward, delete it or mark it as important."""

import re

from browser_service.models import Action, Mark, Observation
from environments.base import Unsolvable
from environments.marks import FIELDS, click, describe, fill, marks
from environments.miniwob.solutions.page import NAME, quoted_words, said, scroll


def mail_by_sender(goal: str, observation: Observation, step: int) -> Action:
    """`Find the email by Ann and reply to them with the text "Yes.".`"""
    if fields := marks(observation, *FIELDS):
        wanted = quoted_words(goal)[0] if "reply" in goal else said(goal, rf"forward that email to ({NAME})")
        return click(_icons(observation)[-1]) if fields[0].value == wanted else fill(fields[0], wanted)
    buttons = {mark.name: mark for mark in marks(observation) if mark.name in ("Reply", "Forward")}
    if not buttons:
        return _open(said(goal, rf"email by ({NAME})"), observation)
    if "reply" in goal:
        return click(buttons["Reply"])
    if "forward" in goal:
        return click(buttons["Forward"])
    return click(_icons(observation)[2 if "delete" in goal else 1])


def forwarded_mail(goal: str, observation: Observation, step: int) -> Action:
    """`Send Bob the email you got from Ann.`, in many wordings."""
    found = re.search(SENDER, goal)
    names = re.findall(NAME, VERBS.sub("", goal))
    if found is None:
        raise Unsolvable(f"Expected a sender in {goal!r}.")
    sender = next(name for name in found.groups() if name)
    others = [name for name in names if name != sender]
    target = others[0] if others else sender
    return mail_by_sender(f"Find the email by {sender} and forward that email to {target}.", observation, step)


SENDER = rf"(?:by|from) ({NAME})|(?:email|message|information|mail) ({NAME}) sent|^({NAME}) wants his"
VERBS = re.compile(r"\b(?:Find|Locate|Forward|Look|Send|Go|Please|Give|The|Navigate|Search|It|I)\b")
"""Words of the instructions that begin like a name."""


def _open(sender: str, observation: Observation) -> Action:
    row = next((mark for mark in marks(observation) if mark.name.startswith(f"{sender} ")), None)
    if row is not None:
        return click(row)
    area = next((mark for mark in marks(observation) if mark.scrollable), None)
    if area is None:
        raise Unsolvable(f"Expected a mail by {sender}, found {describe(observation)}.")
    return scroll(area, 60)


def _icons(observation: Observation) -> list[Mark]:
    """Close, mark as important and delete; or close and send: from left to right."""
    found = [mark for mark in marks(observation) if not mark.name and mark.role not in FIELDS and not mark.scrollable]
    return sorted((mark for mark in found if mark.box.width < 60), key=lambda mark: mark.box.x)
