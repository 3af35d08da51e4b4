"""Families that are solved by filling in a form whose layout differs, or by steps in a given order."""

import re

from browser_service.models import Action, ClickCoords, HoverId, Observation, Sleep
from environments.base import Unsolvable
from environments.marks import BUTTONS, FIELDS, click, describe, fill, find_named, marks, named, nth
from environments.miniwob.solutions.fields import filled_or
from environments.miniwob.solutions.page import NAME, lines, middle, ordinal, quoted_words, said, scroll, submit

TO_THE_END = 10_000
"""CSS pixels: farther than any text here is long."""


def button_in_capitals(goal: str, observation: Observation, step: int) -> Action:
    """`Click button ONE.`"""
    return click(named(observation, said(goal, r"button (ONE|TWO)"), *BUTTONS))


def two_buttons(goal: str, observation: Observation, step: int) -> Action:
    """`Click button ONE, then click button TWO.`"""
    return click(named(observation, ("ONE", "TWO")[min(step, 1)], *BUTTONS))


def login_without_popup(goal: str, observation: Observation, step: int) -> Action:
    """`Enter the username "keli" and the password "3hI" into the text fields and press login.` A box may interrupt."""
    if popup := find_named(observation, "Cancel", *BUTTONS):
        return click(popup)
    user, password = quoted_words(goal)
    name, secret = nth(observation, 0, *FIELDS), nth(observation, 1, *FIELDS)
    # The box comes when a field gets the focus, and locks it; a password field does not show its value.
    if name.value != user:
        return click(name) if step == 0 else fill(name, user)
    if step <= 2:
        return click(secret)
    return fill(secret, password) if step <= 4 else submit(observation, "OK")


def dropdown_then_button(goal: str, observation: Observation, step: int) -> Action:
    """`Choose 5ft 9in from the dropdown, then click the button labeled "Yes".` The list is drawn by a script."""
    wanted = said(goal, r"Choose (.+) from the dropdown")
    head = nth(observation, 0)
    if head.name.startswith(wanted):
        return click(named(observation, quoted_words(goal)[0], *BUTTONS))
    if option := find_named(observation, wanted):
        return click(option)
    area = next((mark for mark in marks(observation) if mark.scrollable), None)
    return scroll(area, 60) if area else click(head)


def nth_result(goal: str, observation: Observation, step: int) -> Action:
    """`Use the textbox to enter "Ann" and press "Search", then find and click the 5th search result.` Three a page."""
    word = quoted_words(goal)[0]
    place = ordinal(goal, r"the (\d+)\w\w search result")
    field = nth(observation, 0, *FIELDS)
    if step == 0:
        return fill(field, word)
    if step == 1:
        return click(named(observation, "Search", *BUTTONS))
    page = str(place // 3 + 1)
    if step == 2 and page != "1":
        return click(named(observation, page))
    results = [mark for mark in marks(observation) if mark.name and not mark.name.isdigit() and mark.role == "link"]
    results = [mark for mark in results if mark.name not in ("First", "Previous", "Next", "Last", "<", ">", "<<", ">>")]
    return click(nth(observation.model_copy(update={"marks": results}), place % 3))


def copied_text(goal: str, observation: Observation, step: int) -> Action:
    """`Copy the text in the textarea below, paste it into the textbox and press Submit.`"""
    fields = marks(observation, *FIELDS)
    if "text areas" in goal or "text area below" in goal:
        place = ordinal(goal, r"the (\d)\w\w text area") if re.search(r"\d\w\w text area", goal) else 0
        source, target = fields[place], fields[-1]
    else:
        source, target = sorted(fields, key=lambda mark: mark.box.height, reverse=True)[:2]
    return filled_or(observation, target, source.value or "")


def scrolled_text(goal: str, observation: Observation, step: int) -> Action:
    """`Scroll the textarea to the bottom of the text hit submit.`"""
    if step == 0:
        down = said(goal, r"to the (bottom|top)") == "bottom"
        return scroll(nth(observation, 0, *FIELDS), TO_THE_END if down else -TO_THE_END)
    return submit(observation)


def signed_agreement(goal: str, observation: Observation, step: int) -> Action:
    """`Scroll to the bottom of the textarea, enter the name "Ann" then press "Agree"`, or `Click the cancel button.`"""
    words = quoted_words(goal)
    if not words:
        return click(named(observation, "Cancel", *BUTTONS))
    name, button = words
    if step == 0:
        area = next((mark for mark in marks(observation) if mark.scrollable), None)
        return scroll(area or nth(observation, 0), TO_THE_END)
    field = nth(observation, -1, "textbox")
    return click(named(observation, button, *BUTTONS)) if field.value == name else fill(field, name)


def listed_names(goal: str, observation: Observation, step: int) -> Action:
    """`Select Ann, Bob from the scroll list and click Submit.` From the top of the list down."""
    box = nth(observation, 0, "listbox")
    wanted = sorted(said(goal, r"Select (.+) from the scroll list").split(", "), key=box.options.index)
    end = box.box.y + box.box.height
    whole = [mark for mark in marks(observation, "option") if mark.box.y + mark.box.height <= end]
    options = {mark.name: mark for mark in whole}
    last = options.get(wanted[-1])
    for name in wanted:
        if (option := options.get(name)) is not None and not option.checked:
            x, y = middle(option)
            return ClickCoords(x=x, y=y, hold=["Control"])
    return submit(observation) if last is not None else scroll(box, 40)


def chosen_in_menu(goal: str, observation: Observation, step: int) -> Action:
    """`Select Ann>Bob>Cleo` Points at each item and waits until its submenu is open; clicks the last one."""
    way = said(goal, r"Select (.+)").split(">")
    found = [mark for name in way if (mark := find_named(observation, name)) is not None]
    if not found:
        raise Unsolvable(f"Expected {way[0]!r}, found {describe(observation)}.")
    if found[-1].name == way[-1]:
        return click(found[-1])
    return HoverId(id=found[-1].id) if step % 2 == 0 else Sleep(duration=0.5)


def marked_paragraph(goal: str, observation: Observation, step: int) -> Action:
    """`Highlight the text in the paragraph below and click submit.` Three clicks mark a paragraph."""
    button = named(observation, "Submit", *BUTTONS)
    if step > 0:
        return click(button)
    is_above = button.box.y > 80
    return ClickCoords(x=30, y=60 if is_above else button.box.y + button.box.height + 12, clicks=3)


def guessed_number(goal: str, observation: Observation, step: int) -> Action:
    """`Guess the number between 0-9 and press Submit.` Tries all; a wrong guess ends nothing."""
    guess = str(step // 2)
    return fill(nth(observation, 0, *FIELDS), guess) if step % 2 == 0 else submit(observation)


def contact_link(goal: str, observation: Observation, step: int) -> Action:
    """`Find Ann in the contact book and click on their address.`"""
    person = said(goal, rf"Find ({NAME}) in")
    links = [mark for mark in marks(observation) if mark.name not in ("<", ">", "First", "Last", "Previous", "Next")]
    mail = next((mark for mark in links if "@" in mark.name), None)
    if mail is None:
        raise Unsolvable(f"Expected a mail address, found {describe(observation)}.")
    if person not in lines(observation)[1:]:
        return click(named(observation, ">"))
    place = links.index(mail)
    wanted = {"phone": -1, "email": 0, "address": 1}
    kind = next((kind for kind in wanted if kind in goal.lower().partition(" and ")[2]), "email")
    return click(links[place + wanted[kind]])


DIGITS = {
    "0": "6999996",
    "1": "2622222",
    "2": "699248f",
    "3": "6916196",
    "4": "8aaf222",
    "5": "f88e196",
    "6": "698e996",
    "7": "f912244",
    "8": "6996996",
    "9": "6997196",
}
"""The figures that number-checkboxes shows: a hexadecimal digit for each row of four boxes."""


def drawn_digit(goal: str, observation: Observation, step: int) -> Action:
    """`Draw the number "3" in the checkboxes using the example on the right and press Submit when finished.`"""
    rows = DIGITS[quoted_words(goal)[0]]
    wanted = [bool(int(row, 16) >> (3 - column) & 1) for row in rows for column in range(4)]
    boxes = sorted(marks(observation, "checkbox"), key=lambda mark: (round(mark.box.y / 8), mark.box.x))
    for box, is_on in zip(boxes, wanted, strict=True):
        if bool(box.checked) != is_on:
            return click(box)
    return submit(observation)
