"""Families that are solved by clicking the element that the instruction names."""

from browser_service.models import Action, Observation
from environments.marks import BUTTONS, FIELDS, click, marks, named, nth
from environments.miniwob.solutions.page import quoted_words, said

TABS = ("tab", "link", "presentation")
MULTI_LINE_HEIGHT = 24  # CSS pixels; single-line fields are 21 high
WIDGET_ROLES = {"radio": ("radio",), "checkbox": ("checkbox",), "button": BUTTONS}


def only_button(goal: str, observation: Observation, step: int) -> Action:
    """The page has one button."""
    return click(nth(observation, 0, *BUTTONS))


def quoted_button(goal: str, observation: Observation, step: int) -> Action:
    """`Click on the "previous" button.` A dialog's x is named Close."""
    name = quoted_words(goal)[0]
    return click(named(observation, "Close" if name == "x" else name, *BUTTONS))


def quoted_link(goal: str, observation: Observation, step: int) -> Action:
    """`Click on the link "Neque,".` The links are spans, so their role is not used."""
    return click(named(observation, quoted_words(goal)[0]))


def close_dialog(goal: str, observation: Observation, step: int) -> Action:
    """`Close the dialog box by clicking the "x".`"""
    return click(named(observation, "Close", *BUTTONS))


def numbered_tab(goal: str, observation: Observation, step: int) -> Action:
    """`Click on Tab #2.`"""
    return click(named(observation, said(goal, r"(Tab #\d)"), *TABS))


def widget_of_kind(goal: str, observation: Observation, step: int) -> Action:
    """`Click on a "textarea" widget.` A text area and a text field differ in height only."""
    kind = quoted_words(goal)[0]
    if roles := WIDGET_ROLES.get(kind):
        return click(nth(observation, 0, *roles))
    fields = marks(observation, *FIELDS)
    fitting = [mark for mark in fields if (mark.box.height > MULTI_LINE_HEIGHT) == (kind == "textarea")]
    return click(nth(observation.model_copy(update={"marks": fitting}), 0))
