"""Families that are solved by dragging, or with the arrow keys."""

import re

from browser_service.models import Action, Drag, DragId, Keypress, Mark, Observation
from environments.base import Unsolvable
from environments.marks import BUTTONS, FIELDS, click, describe, marks, named, nth
from environments.miniwob.solutions.page import middle, ordinal, said, submit

LOWEST = -10
"""Smallest value of the slider of form-sequence."""
CORNER = 6
"""CSS pixels from the corner of a text area to the middle of its handle."""
PULL = 18


def slider_and_checkbox(goal: str, observation: Observation, step: int) -> Action:
    """`Select -3 with the slider, click the 2nd checkbox, then hit Submit.` From the lowest value up, key by key."""
    steps = int(said(goal, r"Select (-?\d+) with the slider")) - LOWEST
    if step == 0:
        return click(_handle(observation))
    if step == 1:
        return Keypress(keys=["Home"])
    if step < steps + 2:
        return Keypress(keys=["ArrowRight"])
    box = nth(observation, ordinal(goal, r"the (\d)\w\w checkbox"), "checkbox")
    return submit(observation) if box.checked else click(box)


def resized_area(goal: str, observation: Observation, step: int) -> Action:
    """`Resize the textarea so that the width is larger than its initial size then press Submit.`"""
    if step > 0:
        return click(named(observation, "Submit", *BUTTONS))
    box = nth(observation, 0, *FIELDS).box
    pull = PULL if "larger" in goal else -PULL
    dx, dy = (pull, 0) if "the width" in goal else (0, pull)
    x, y = box.x + box.width - CORNER, box.y + box.height - CORNER
    return Drag(x=x, y=y, to_x=x + dx, to_y=y + dy)


def moved_item(goal: str, observation: Observation, step: int) -> Action:
    """`Drag Ann up by one position.`, or `to the top.`, `to the 3rd position.`"""
    name = said(goal, r"Drag (\w+) ")
    rows = sorted((mark for mark in marks(observation) if mark.name and mark.role not in BUTTONS), key=_top)
    here = next((place for place, mark in enumerate(rows) if mark.name == name), None)
    if here is None:
        raise Unsolvable(f"Expected the item {name!r}, found {describe(observation)}.")
    if found := re.search(r"to the (\d)\w\w position", goal):
        there = int(found[1]) - 1
    elif "by one position" in goal:
        there = here + (1 if "down by" in goal else -1)
    else:
        there = 0 if "to the top" in goal else len(rows) - 1
    # A list makes room when the item's middle has passed that of the other.
    past = 4 if there > here else -4
    (x, y), (to_x, to_y) = middle(rows[here]), middle(rows[there])
    return Drag(x=x, y=y, to_x=to_x, to_y=to_y + past)


def box_in_box(goal: str, observation: Observation, step: int) -> Action:
    """`Drag the smaller box so that it is completely inside the larger box.`"""
    if step > 0:
        return submit(observation)
    small, large = named(observation, "s"), named(observation, "L")
    return DragId(id=small.id, to_id=large.id)


def _handle(observation: Observation) -> Mark:
    found = [mark for mark in marks(observation) if mark.role not in (*BUTTONS, "checkbox", *FIELDS)]
    if not found:
        raise Unsolvable(f"Expected the handle of a slider, found {describe(observation)}.")
    return min(found, key=lambda mark: mark.box.width)


def _top(mark: Mark) -> float:
    return mark.box.y
