"""Families that are solved by appearance; the marks name shapes without a name by colour and form."""

from browser_service.models import Action, Observation
from environments.base import Unsolvable
from environments.marks import BUTTONS, click, describe, marks, named
from environments.miniwob.solutions.page import said

BOX_WIDTH = 20  # CSS pixels; the sample of the colour inside the instruction is 12 wide, the boxes are 52
FORMS = {"circle": "Circle", "rect": "Rectangle", "polygon": "Triangle"}
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
