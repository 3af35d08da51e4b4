"""The text editor with a toolbar: selects words with the keyboard, then gives them a style or a colour."""

import re

from browser_service.models import Action, Keypress, Observation
from environments.marks import BUTTONS, FIELDS, click, marks, nth
from environments.miniwob.solutions.page import said, submit

STYLES = ("bold", "italics", "underlined")
"""In the order of their buttons, which have no name."""
COLOURS = ("black", "red", "orange", "yellow", "green", "blue", "purple")
"""The first row of the open palette."""
SWATCH_WIDTH = 16
PART = re.compile(r"[A-Za-z]+|[^A-Za-z\s]+")
"""What Control and an arrow key cross at once: letters, or punctuation."""


def styled_text(goal: str, observation: Observation, step: int) -> Action:
    """`Using the text editor, give the text magna the style bold and press Submit.`, `make everything the color red`."""
    if palette := [mark for mark in marks(observation) if mark.box.width == SWATCH_WIDTH]:
        return click(palette[COLOURS.index(said(goal, r"the color (\w+)"))])
    editor = nth(observation, 0, *FIELDS)
    opening = [click(editor), *_selecting(goal, editor.value or "")]
    if step < len(opening):
        return opening[step]
    if step > len(opening):
        return submit(observation)
    style = next((style for style in STYLES if f"the style {style}" in goal), None)
    return click(nth(observation, STYLES.index(style), *BUTTONS) if style else nth(observation, 0))


def _selecting(goal: str, text: str) -> list[Keypress]:
    """The keys that select the word of the instruction where it is last, or all of the text."""
    word = re.search(r"give the text (\S+) the", goal)
    if word is None:
        return [Keypress(keys=["Control", "a"])]
    words = text.split()
    place = len(words) - 1 - words[::-1].index(word[1])
    before = len(PART.findall(" ".join(words[:place])))
    skip = [Keypress(keys=["Control", "ArrowRight"])] * before + [Keypress(keys=["ArrowRight"])] * min(before, 1)
    mark = [Keypress(keys=["Control", "Shift", "ArrowRight"])] * len(PART.findall(word[1]))
    return [Keypress(keys=["Control", "Home"]), *skip, *mark]
