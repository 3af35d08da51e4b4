"""Families that are solved by dragging, or with the arrow keys."""

import re

from browser_service.models import Action, Drag, DragId, HoverCoords, Keypress, Mark, MouseDown, MouseUp, Observation
from environments.base import Unsolvable
from environments.marks import BUTTONS, FIELDS, click, describe, marks, named, nth
from environments.miniwob.solutions.page import NAME, lines, middle, ordinal, said, submit

LOWEST = -10
"""Smallest value of the slider of form-sequence."""
CORNER = 6
"""CSS pixels from the corner of a text area to the middle of its handle."""
PULL = 18
WAYS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""Direction -> rows down and columns to the right."""
GRID = 3
FIRST_CELL, FIRST_CELL_Y, CELL = 27, 77, 46
"""Middle of the first item of drag-items-grid, and the distance to the next, in CSS pixels."""
PAST = 6
"""CSS pixels: a list makes room when the middle of an item has passed that of another."""
LEFT_BOX, RIGHT_BOX, BOXES_END = (37, 80), (119, 80), 107
"""Middles of the boxes of drag-shapes-2, and their lower edge, in CSS pixels."""
KINDS = {"rectangles": "rect", "circles": "circle", "triangles": "polygon", "aqua": "cyan"}
"""Word of the instruction -> word in a figure's name, where they differ."""


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
    name = said(goal, rf"Drag ({NAME}) ")
    names = lines(observation)[1:]
    if name not in names:
        raise Unsolvable(f"Expected the item {name!r}, found {names}.")
    here = names.index(name)
    if found := re.search(r"to the (\d)\w\w position", goal):
        there = int(found[1]) - 1
    elif "by one position" in goal:
        there = here + (1 if "down by" in goal else -1)
    else:
        there = 0 if "to the top" in goal else len(names) - 1
    return _moved(nth(observation, 0), len(names), here, there)


def sorted_numbers(goal: str, observation: Observation, step: int) -> Action:
    """`Sort the numbers in increasing order, starting with the lowest number at the top of the list.`"""
    numbers = [int(number) for number in nth(observation, 0).name.split()]
    for there, number in enumerate(sorted(numbers)):
        if numbers[there] != number:
            here = numbers.index(number, there)
            return _moved(nth(observation, 0), len(numbers), here, there)
    return submit(observation)


def item_in_grid(goal: str, observation: Observation, step: int) -> Action:
    """`Drag Ann to the top left.`, or `up by one.` The items are no marks: their order is that of the page's text."""
    name, way = said(goal, rf"Drag ({NAME}) "), said(goal, rf"Drag {NAME} (.+)\.")
    names = lines(observation)[1:]
    if name not in names:
        raise Unsolvable(f"Expected the item {name!r}, found {names}.")
    row, column = divmod(names.index(name), GRID)
    if "by one" in way:
        down, right = WAYS[way.split()[0]]
        goal_row, goal_column = row + down, column + right
    else:
        words = way.split()
        goal_row = next((place for place, word in enumerate(("top", "center", "bottom")) if word == words[2]), 1)
        goal_column = ("left", "center", "right").index(words[-1])
    x, y = FIRST_CELL + column * CELL, FIRST_CELL_Y + row * CELL
    to_x = x + _past((goal_column - column) * CELL)
    to_y = y + _past((goal_row - row) * CELL)
    # First across, then up or down: the grid makes room in another way for a slanting move.
    way_there = (MouseDown(x=x, y=y), HoverCoords(x=to_x, y=y), HoverCoords(x=to_x, y=to_y), MouseUp(x=to_x, y=to_y))
    return way_there[min(step, 3)]


def pulled_shape(goal: str, observation: Observation, step: int) -> Action:
    """`Drag the circle left then press Submit.` The figure is the only mark that is no button."""
    if step > 0:
        return submit(observation)
    down, right = WAYS[said(goal, r"Drag the \w+ (\w+) then")]
    figure = next((mark for mark in marks(observation) if mark.role not in BUTTONS), None)
    if figure is None:
        raise Unsolvable(f"Expected a figure, found {describe(observation)}.")
    return DragId(id=figure.id, dx=right * PULL, dy=down * PULL)


def shapes_in_boxes(goal: str, observation: Observation, step: int) -> Action:
    """`Drag all blue shapes into the left box, and everything else into the right box.`, or `all triangles`.

    The two boxes are no marks, but always in the same place: above all figures that are not in one yet.
    """
    kind = said(goal, r"Drag all (\w+)")
    figures = [mark for mark in marks(observation) if mark.role not in BUTTONS and mark.box.y > BOXES_END]
    if not figures:
        return submit(observation)
    figure = figures[0]
    x, y = middle(figure)
    to_x, to_y = LEFT_BOX if KINDS.get(kind, kind) in figure.name.split() else RIGHT_BOX
    return DragId(id=figure.id, dx=to_x - x, dy=to_y - y)


def box_in_box(goal: str, observation: Observation, step: int) -> Action:
    """`Drag the smaller box so that it is completely inside the larger box.`"""
    if step > 0:
        return submit(observation)
    small, large = named(observation, "s").box, named(observation, "L").box
    dx = large.x + (large.width - small.width) / 2 - small.x
    dy = large.y + (large.height - small.height) / 2 - small.y
    return DragId(id=named(observation, "s").id, dx=dx, dy=dy)


def _moved(column: Mark, rows: int, here: int, there: int) -> Drag:
    """A drag of one row of a list to another place. The list is one mark, and its rows are equally high."""
    height = column.box.height / rows
    x, y = column.box.x + column.box.width / 2, column.box.y + height / 2 + here * height
    return Drag(x=x, y=y, to_x=x, to_y=y + _past((there - here) * height))


def _past(distance: float) -> float:
    """The distance, and a little farther."""
    return distance + PAST * ((distance > 0) - (distance < 0))


def _handle(observation: Observation) -> Mark:
    found = [mark for mark in marks(observation) if mark.role not in (*BUTTONS, "checkbox", *FIELDS)]
    if not found:
        raise Unsolvable(f"Expected the handle of a slider, found {describe(observation)}.")
    return min(found, key=lambda mark: mark.box.width)
