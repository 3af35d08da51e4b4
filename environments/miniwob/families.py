"""The supported MiniWoB++ task families: step budget, difficulty, scripted solution.

To add one: look at its page in the package `miniwob`, add a row here and a function in `solutions/`, and run the tests,
which play every row with real clicks on several seeds.
"""

from dataclasses import dataclass
from difflib import get_close_matches

from environments.base import UnknownTask
from environments.miniwob.solutions import buttons, exploring, fields, lists, shapes
from environments.miniwob.solutions.page import Solution


@dataclass(frozen=True)
class Family:
    """One row of the table. Example: `Family("click-button", 3, 1, "click the button with a given text", buttons.quoted_button)`."""

    name: str
    max_steps: int
    """Step budget of an episode: the solution's largest number of steps, plus two."""
    difficulty: int
    """1: one action. 2: a few actions that are all visible. 3: information must be remembered or found."""
    summary: str
    solution: Solution | None = None

    @property
    def is_scripted(self) -> bool:
        """True if a scripted solution exists."""
        return self.solution is not None


_TABLE = (
    Family("click-test", 3, 1, "click the only button", buttons.only_button),
    Family("click-button", 3, 1, "click the button with a given text", buttons.quoted_button),
    Family("unicode-test", 3, 1, "click the button with a given text, not in Latin script", buttons.quoted_button),
    Family("click-link", 3, 1, "click a given word among the links of a paragraph", buttons.quoted_link),
    Family("click-dialog", 3, 1, "close a dialog box", buttons.close_dialog),
    Family("click-dialog-2", 3, 1, "click Cancel, OK or x of a dialog box", buttons.quoted_button),
    Family("click-tab", 3, 1, "click the tab with a given number", buttons.numbered_tab),
    Family("click-widget", 3, 1, "click any widget of a given kind", buttons.widget_of_kind),
    Family("click-color", 3, 1, "click the box of a given colour", shapes.coloured_box),
    Family("identify-shape", 3, 1, "click the button that says what a figure is", shapes.kind_of_figure),
    Family("focus-text", 3, 1, "click the only text field", fields.only_textbox),
    Family("focus-text-2", 3, 1, "click the first, second or third text field", fields.nth_textbox),
    Family("click-option", 4, 2, "choose a radio button, submit", lists.option_then_submit),
    Family("click-checkboxes", 9, 2, "check the boxes that are named, submit", lists.checkboxes_then_submit),
    Family("click-checkboxes-transfer", 9, 2, "check up to three boxes, submit", lists.checkboxes_then_submit),
    Family("click-checkboxes-large", 15, 3, "check up to twelve boxes, submit", lists.checkboxes_then_submit),
    Family("find-greatest", 4, 2, "choose the card with the greatest number, submit", lists.greatest_card_then_submit),
    Family("choose-list", 4, 2, "choose an option of a drop-down list, submit", lists.dropdown_then_submit),
    Family("click-collapsible", 4, 2, "expand a section, submit", exploring.expand_then_submit),
    Family("click-collapsible-2", 6, 3, "click a given link in one of three sections", exploring.link_behind_tabs),
    Family("navigate-tree", 11, 3, "open folders until a given name shows, click it", exploring.name_in_tree),
    Family("click-tab-2-easy", 4, 1, "click a given link on the only tab", exploring.link_behind_tabs),
    Family("click-tab-2-medium", 4, 3, "click a given link on one of two tabs", exploring.link_behind_tabs),
    Family("click-tab-2", 6, 3, "click a given link on one of three tabs", exploring.link_behind_tabs),
    Family("enter-text", 4, 2, "type a name, submit", fields.text_then_submit),
    Family("enter-text-2", 4, 2, "type a name in upper or lower case, submit", fields.cased_text_then_submit),
    Family("enter-password", 5, 3, "type a password twice, submit", fields.password_twice),
    Family("login-user", 5, 3, "type user name and password, log in", fields.login),
    Family("form-sequence-2", 5, 3, "choose a radio button, fill a given field, submit", fields.radio_and_number),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _TABLE}


def find_family(name: str) -> Family:
    """Returns the family with this name. Raises `UnknownTask` that names the nearest ones."""
    if (family := FAMILIES.get(name)) is not None:
        return family
    near = get_close_matches(name, FAMILIES, n=3) or sorted(FAMILIES)
    raise UnknownTask(f"There is no MiniWoB++ family {name!r}; did you mean {', '.join(near)}?")
