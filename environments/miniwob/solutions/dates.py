"""Families about dates, times and numbers that a widget takes."""

import re

from browser_service.models import Action, Mark, Observation
from environments.base import Unsolvable
from environments.marks import FIELDS, click, describe, fill, find_named, marks, nth
from environments.miniwob.solutions.fields import filled_or
from environments.miniwob.solutions.page import said, submit

LAST_MONTH = 12
"""The date pickers begin at the end of their range: in December 2016."""


def typed_date(goal: str, observation: Observation, step: int) -> Action:
    """`Enter 10/05/2013 as the date and hit submit.`"""
    month, day, year = said(goal, r"Enter (\d\d/\d\d/\d{4}) as").split("/")
    return filled_or(observation, _first_field(observation), f"{year}-{month}-{day}")


def typed_time(goal: str, observation: Observation, step: int) -> Action:
    """`Enter 4:37 PM as the time and press submit.`"""
    found = re.search(r"Enter (\d+):(\d\d)\s*([AP])M", goal)
    if found is None:
        raise Unsolvable(f"Expected a time such as 4:37 PM, found {goal!r}.")
    hour = int(found[1]) % 12 + (12 if found[3] == "P" else 0)
    return filled_or(observation, _first_field(observation), f"{hour:02}:{found[2]}")


def picked_date(goal: str, observation: Observation, step: int) -> Action:
    """`Select 04/17/2016 as the date and hit submit.` Opens the picker, goes back month by month, picks the day."""
    month, day, _ = (int(part) for part in said(goal, r"Select (\d\d/\d\d/\d{4}) as").split("/"))
    if step == 0:
        return click(_first_field(observation))
    if step <= LAST_MONTH - month:
        return click(_called(observation, "Prev"))
    if step == LAST_MONTH - month + 1:
        return click(_called(observation, str(day)))
    return submit(observation)


def spun_number(goal: str, observation: Observation, step: int) -> Action:
    """`Select -3 with the spinner and hit Submit.` The arrows are above one another at the end of the field."""
    wanted = int(said(goal, r"Select (-?\d+) with the spinner"))
    field = _first_field(observation)
    now = int(field.value or 0)
    if now == wanted:
        return submit(observation)
    around = field.model_copy(update={"box": field.box.model_copy(update={"width": field.box.width + 30})})
    arrows = sorted((mark for mark in marks(observation) if _is_beside(mark, around)), key=lambda mark: mark.box.y)
    if len(arrows) < 2:
        raise Unsolvable(f"Expected two arrows beside the field, found {describe(observation)}.")
    return click(arrows[0] if wanted > now else arrows[-1])


def completed(goal: str, observation: Observation, step: int) -> Action:
    """`Enter an item that starts with "Bu" and ends with "di".` Types the beginning, takes the offer that fits."""
    words = re.findall(r'"([^"]*)"', goal)
    begin, end = words[0], words[1] if len(words) > 1 else ""
    field = _first_field(observation)
    others = [mark for mark in marks(observation) if mark.id != field.id and mark.role not in ("button", *FIELDS)]
    offers = [mark for mark in others if mark.name.startswith(begin) and mark.name.endswith(end)]
    if offers:  # the list of all offers is a mark too, with all their names
        return click(min(offers, key=lambda mark: len(mark.name)))
    value = field.value or ""
    if value.startswith(begin) and value.endswith(end) and (len(value) > len(begin) or step > 1):
        return submit(observation)
    return fill(field, begin)


def _first_field(observation: Observation) -> Mark:
    return nth(observation, 0, *FIELDS, "combobox", "generic", "date")


def _called(observation: Observation, name: str) -> Mark:
    if (mark := find_named(observation, name)) is None:
        raise Unsolvable(f"Expected {name!r}, found {describe(observation)}.")
    return mark


def _is_beside(mark: Mark, field: Mark) -> bool:
    middle = mark.box.x + mark.box.width / 2
    return (
        mark.role not in FIELDS
        and mark.box.width < 30
        and field.box.x + field.box.width / 2 < middle < field.box.x + field.box.width
        and abs(mark.box.y - field.box.y) < 30
    )
