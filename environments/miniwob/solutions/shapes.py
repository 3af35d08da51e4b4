"""Families that are solved by appearance; the marks name shapes without a name by colour and form."""

from browser_service.models import Action, Observation
from environments.base import Unsolvable
from environments.marks import BUTTONS, click, describe, marks, named
from environments.miniwob.solutions.page import said

BOX_WIDTH = 20  # CSS pixels; the sample of the colour inside the instruction is 12 wide, the boxes are 52
FORMS = {"circle": "Circle", "rect": "Rectangle", "polygon": "Triangle"}
GRID = 5
"""Points in a row."""
OTHER_NAMES = {"grey": "gray", "olive": ""}  # the marks do not name olive: it is the box without a name


def coloured_box(goal: str, observation: Observation, step: int) -> Action:
    """`Click on the lime colored box.`"""
    wanted = said(goal, r"Click on the (\w+) colored box")
    for mark in marks(observation):
        if mark.box.width > BOX_WIDTH and mark.name in (wanted, OTHER_NAMES.get(wanted)):
            return click(mark)
    raise Unsolvable(f"Expected a {wanted} box, found {describe(observation)}.")


def kind_of_figure(goal: str, observation: Observation, step: int) -> Action:
    """`Click the button that best describes the figure below.` The figure is marked as `blue polygon`, `E` or `7`."""
    figure = next((mark.name for mark in marks(observation) if mark.role not in BUTTONS), "")
    form = figure.split()[-1] if figure else ""
    kind = FORMS.get(form) or ("Number" if form.isdigit() else "Letter")
    return click(named(observation, kind, *BUTTONS))


def point_of_grid(goal: str, observation: Observation, step: int) -> Action:
    """`Click on the grid coordinate (-1,2).` Five by five points; the middle one is the origin."""
    x, y = (int(part) for part in said(goal, r"\((-?\d,-?\d)\)").split(","))
    points = [mark for mark in marks(observation) if mark.box.width < BOX_WIDTH]
    if len(points) != GRID * GRID:
        raise Unsolvable(f"Expected {GRID * GRID} points, found {describe(observation)}.")
    columns = sorted(points, key=lambda mark: mark.box.x)[(x + 2) * GRID : (x + 3) * GRID]
    return click(sorted(columns, key=lambda mark: -mark.box.y)[y + 2])


def ascending(goal: str, observation: Observation, step: int) -> Action:
    """`Click on the numbers in ascending order.` After the first click the numbers are hidden; their boxes stay in order."""
    figures = [mark for mark in marks(observation) if mark.role not in BUTTONS and mark.box.width < 2 * BOX_WIDTH]
    one = next((mark for mark in figures if mark.name == "1"), None)
    return click(one or figures[0])
