"""Families that are solved in text fields."""

from browser_service.models import Action, Mark, Observation
from environments.marks import FIELDS, click, fill, nth
from environments.miniwob.solutions.page import ordinal, quoted_words, said, submit


def only_textbox(goal: str, observation: Observation, step: int) -> Action:
    """`Focus into the textbox.`"""
    return click(nth(observation, 0, *FIELDS))


def nth_textbox(goal: str, observation: Observation, step: int) -> Action:
    """`Focus into the 3rd input textbox.`"""
    return click(nth(observation, ordinal(goal, r"the (\d)\w\w input"), *FIELDS))


def text_then_submit(goal: str, observation: Observation, step: int) -> Action:
    """`Enter "Dannie" into the text field and press Submit.`"""
    return filled_or(observation, nth(observation, 0, *FIELDS), quoted_words(goal)[0])


def cased_text_then_submit(goal: str, observation: Observation, step: int) -> Action:
    """`Type "dannie" in all upper case letters in the text input and press Submit.`"""
    word = quoted_words(goal)[0]
    cased = word.upper() if said(goal, r"all (upper|lower) case") == "upper" else word.lower()
    return filled_or(observation, nth(observation, 0, *FIELDS), cased)


def password_twice(goal: str, observation: Observation, step: int) -> Action:
    """`Enter the password "Q3h" into both text fields and press submit.` Password fields do not show their value."""
    if step < 2:
        return fill(nth(observation, step, *FIELDS), quoted_words(goal)[0])
    return submit(observation)


def login(goal: str, observation: Observation, step: int) -> Action:
    """`Enter the username "keli" and the password "3hI" into the text fields and press login.`"""
    if step < 2:
        return fill(nth(observation, step, *FIELDS), quoted_words(goal)[step])
    return submit(observation, "Login")


def radio_and_number(goal: str, observation: Observation, step: int) -> Action:
    """`Check the 1st radio button and enter the number "16" into the 3rd textbox.`"""
    radio = nth(observation, ordinal(goal, r"the (\d)\w\w radio"), "radio")
    if not radio.checked:
        return click(radio)
    return filled_or(
        observation, nth(observation, ordinal(goal, r"the (\d)\w\w textbox"), *FIELDS), quoted_words(goal)[0]
    )


def filled_or(observation: Observation, field: Mark, value: str) -> Action:
    """Fills the field, or submits if it has the value."""
    return submit(observation) if field.value == value else fill(field, value)
