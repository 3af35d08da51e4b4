"""The supported MiniWoB++ task families: step budget, difficulty, scripted solution.

To add one: look at its page in the package `miniwob`, add a row here and a function in `solutions/`, and run the tests,
which play every row with real clicks on several seeds.
"""

from dataclasses import dataclass
from difflib import get_close_matches

from environments.base import UnknownTask
from environments.miniwob.solutions import (
    buttons,
    dates,
    editor,
    exploring,
    fields,
    forms,
    lists,
    mail,
    moving,
    reading,
    shapes,
    sliders,
    synonyms,
)
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
BEYOND = (
    Family("click-test-2", 3, 1, "click the button ONE, not TWO", forms.button_in_capitals),
    Family("click-test-transfer", 3, 1, "click the button ONE, not TWO", forms.button_in_capitals),
    Family("click-button-sequence", 4, 2, "click the button ONE, then TWO", forms.two_buttons),
    Family("click-tab-2-hard", 9, 3, "click a given link on one of up to six tabs", exploring.link_behind_tabs),
    Family("click-collapsible-nodelay", 4, 2, "expand a section, submit", exploring.expand_then_submit),
    Family(
        "click-collapsible-2-nodelay", 6, 3, "click a given link in one of three sections", exploring.link_behind_tabs
    ),
    Family("choose-date", 16, 3, "pick a day of the year 2016, submit", dates.picked_date),
    Family("choose-date-easy", 5, 2, "pick a day of December 2016, submit", dates.picked_date),
    Family("choose-date-medium", 8, 3, "pick a day of the last months of 2016, submit", dates.picked_date),
    Family("choose-date-nodelay", 16, 3, "pick a day of the year 2016, submit", dates.picked_date),
    Family("enter-date", 4, 2, "type a date, submit", dates.typed_date),
    Family("enter-time", 4, 2, "type a time, submit", dates.typed_time),
    Family("enter-text-dynamic", 4, 2, "type a text, submit", fields.text_then_submit),
    Family("use-autocomplete", 6, 3, "enter an item by its beginning and its end, submit", dates.completed),
    Family("use-autocomplete-nodelay", 6, 3, "enter an item by its beginning and its end, submit", dates.completed),
    Family("use-spinner", 13, 2, "bring a spinner to a number, submit", dates.spun_number),
    Family(
        "login-user-popup", 8, 3, "type user name and password past a box that interrupts", forms.login_without_popup
    ),
    Family("form-sequence-3", 5, 2, "choose from a list, click a given button", forms.dropdown_then_button),
    Family("search-engine", 6, 3, "search for a word, click the nth result of three pages", forms.nth_result),
    Family("copy-paste", 4, 2, "copy a text into a field, submit", forms.copied_text),
    Family("copy-paste-2", 4, 3, "copy one of three texts into a field, submit", forms.copied_text),
    Family("scroll-text-2", 4, 2, "scroll a text to its top or bottom, submit", forms.scrolled_text),
    Family("sign-agreement", 5, 3, "scroll to the end of a text, sign it, agree or cancel", forms.signed_agreement),
    Family("click-scroll-list", 9, 3, "choose one or two options of a list that scrolls, submit", forms.listed_names),
    Family("click-menu", 9, 3, "choose an item of nested menus", forms.chosen_in_menu),
    Family("highlight-text", 4, 2, "mark a paragraph, submit", forms.marked_paragraph),
    Family("grid-coordinate", 3, 2, "click a point of a grid by its coordinates", shapes.point_of_grid),
    Family("ascending-numbers", 7, 3, "click five numbers in their order from memory", shapes.ascending),
    Family("guess-number", 22, 2, "guess a number from 0 to 9", forms.guessed_number),
    Family("phone-book", 7, 3, "find a person's page among five, click the mail, phone or address", forms.contact_link),
    Family("number-checkboxes", 24, 3, "draw a digit in 28 boxes, submit", forms.drawn_digit),
    Family("form-sequence", 26, 3, "bring a slider to a number, check a box, submit", moving.slider_and_checkbox),
    Family("resize-textarea", 4, 2, "pull a text area wider, narrower, higher or lower, submit", moving.resized_area),
    Family("drag-items", 3, 3, "move an item of a list up or down", moving.moved_item),
    Family("drag-box", 4, 2, "put a small box into a large one, submit", moving.box_in_box),
    Family("email-inbox-forward-nl", 10, 3, "forward the mail of a sender, in many wordings", mail.forwarded_mail),
    Family("email-inbox", 10, 3, "reply to, forward, delete or mark the mail of a sender", mail.mail_by_sender),
    Family("email-inbox-noscroll", 8, 3, "the same, in a short list", mail.mail_by_sender),
    Family("email-inbox-delete", 8, 2, "delete the mail of a sender", mail.mail_by_sender),
    Family("email-inbox-important", 8, 2, "mark the mail of a sender as important", mail.mail_by_sender),
    Family("email-inbox-reply", 10, 3, "reply to the mail of a sender", mail.mail_by_sender),
    Family("email-inbox-forward", 10, 3, "forward the mail of a sender", mail.mail_by_sender),
    Family("email-inbox-star-reply", 10, 3, "reply to or mark the mail of a sender", mail.mail_by_sender),
    Family("simple-arithmetic", 4, 2, "type the result of a sum of two digits, submit", reading.solved_sum),
    Family("simple-algebra", 4, 3, "solve an equation for x, submit", reading.solved_for_x),
    Family("odd-or-even", 6, 2, "mark three numbers as odd or even, submit", reading.odd_and_even),
    Family("generate-number", 20, 2, "generate numbers until one fits, submit", reading.generated_number),
    Family("find-word", 4, 2, "type the nth word of a paragraph, submit", reading.nth_word),
    Family("read-table", 4, 2, "type the value of a row of a table, submit", reading.value_of_table),
    Family("read-table-2", 5, 3, "type the values of two rows of a table, submit", reading.values_of_table),
    Family("multi-layouts", 6, 3, "fill in a form of one of five layouts, submit", reading.searched_movie),
    Family("multi-orderings", 6, 3, "fill in a form whose fields change places, submit", reading.searched_movie),
    Family("use-slider", 14, 3, "bring a slider to a number, submit", sliders.slider_to_number),
    Family("use-slider-2", 6, 2, "bring three sliders to numbers, submit", sliders.three_sliders),
    Family("drag-circle", 4, 2, "drag a circle in a direction, submit", moving.pulled_shape),
    Family("drag-single-shape", 4, 2, "drag a figure in a direction, submit", moving.pulled_shape),
    Family("drag-shapes-2", 8, 3, "sort five figures into two boxes, submit", moving.shapes_in_boxes),
    Family("drag-items-grid", 6, 3, "move an item of a grid", moving.item_in_grid),
    Family("drag-sort-numbers", 6, 3, "sort four numbers by dragging, submit", moving.sorted_numbers),
    Family("click-checkboxes-soft", 8, 3, "check the boxes of similar words, submit", synonyms.similar_words),
    Family("text-editor", 15, 3, "give words of a text a style or a colour, submit", editor.styled_text),
)
"""Families that only the slower test plays."""
FAMILIES: dict[str, Family] = {family.name: family for family in (*_TABLE, *BEYOND)}


def find_family(name: str) -> Family:
    """Returns the family with this name. Raises `UnknownTask` that names the nearest ones."""
    if (family := FAMILIES.get(name)) is not None:
        return family
    near = get_close_matches(name, FAMILIES, n=3) or sorted(FAMILIES)
    raise UnknownTask(f"There is no MiniWoB++ family {name!r}; did you mean {', '.join(near)}?")
