"""Families that are solved by dragging, or with the arrow keys."""

import re

from browser_service.models import Action, Drag, DragId, Keypress, Mark, Observation
from environments.base import Unsolvable
from environments.marks import BUTTONS, FIELDS, click, describe, marks, named, nth
from environments.miniwob.solutions.page import ordinal, said, submit

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
    names = nth(observation, 0).name.split()
    if name not in names:
        raise Unsolvable(f"Expected the item {name!r}, found {describe(observation)}.")
    here = names.index(name)
    if found := re.search(r"to the (\d)\w\w position", goal):
        there = int(found[1]) - 1
    elif "by one position" in goal:
        there = here + (1 if "down by" in goal else -1)
    else:
        there = 0 if "to the top" in goal else len(names) - 1
    # The list is one mark, and its rows are equally high. It makes room when an item's middle has passed another's.
    box = nth(observation, 0).box
    row = box.height / len(names)
    past = 6 if there > here else -6
    x, y = box.x + box.width / 2, box.y + row / 2
    return Drag(x=x, y=y + here * row, to_x=x, to_y=y + there * row + past)


def box_in_box(goal: str, observation: Observation, step: int) -> Action:
    """`Drag the smaller box so that it is completely inside the larger box.`"""
    if step > 0:
        return submit(observation)
    small, large = named(observation, "s").box, named(observation, "L").box
    dx = large.x + (large.width - small.width) / 2 - small.x
    dy = large.y + (large.height - small.height) / 2 - small.y
    return DragId(id=named(observation, "s").id, dx=dx, dy=dy)


def _handle(observation: Observation) -> Mark:
    found = [mark for mark in marks(observation) if mark.role not in (*BUTTONS, "checkbox", *FIELDS)]
    if not found:
        raise Unsolvable(f"Expected the handle of a slider, found {describe(observation)}.")
    return min(found, key=lambda mark: mark.box.width)
