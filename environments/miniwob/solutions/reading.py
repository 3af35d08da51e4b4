"""Families whose answer is text of the page that belongs to no element: sums, tables, paragraphs and labels."""

import re

from browser_service.models import Action, Observation
from environments.base import Unsolvable
from environments.marks import BUTTONS, FIELDS, click, fill, named, nth
from environments.miniwob.solutions.fields import filled_or
from environments.miniwob.solutions.page import below, lines, ordinal, said, submit, text

LABELS = {"Genre": r"Search for (.+) movies", "Director": r"directed by (.+) from", "Year|Date": r"from year (\d+)"}
"""Part of a field's label -> its value in the instruction."""


def solved_sum(goal: str, observation: Observation, step: int) -> Action:
    """`Solve the math problem and type your answer into the textbox.` The page says `2 x 4 =`."""
    left, operator, right = _found(r"(\d+) ([-+x]) (\d+) =", observation)
    a, b = int(left), int(right)
    result = {"+": a + b, "-": a - b, "x": a * b}[operator]
    return filled_or(observation, nth(observation, 0, *FIELDS), str(result))


def solved_for_x(goal: str, observation: Observation, step: int) -> Action:
    """`Solve for x and type your answer into the textbox.` The page says `x + 2 = 43` or `7 - x = 37`."""
    left, operator, right, total = _found(r"(x|\d+) ([-+]) (x|\d+) = (\d+)", observation)
    known, result = int(right if left == "x" else left), int(total)
    answers = {("+", True): result - known, ("+", False): result - known, ("-", True): result + known}
    answer = answers.get((operator, left == "x"), known - result)
    return filled_or(observation, nth(observation, 0, *FIELDS), str(answer))


def odd_and_even(goal: str, observation: Observation, step: int) -> Action:
    """`Mark the numbers below as odd or even and press submit when done.` A row is `Odd`, a number, `Even`."""
    numbers = [int(line) for line in lines(observation) if re.fullmatch(r"-?\d+", line)]
    if step >= len(numbers):
        return submit(observation)
    return click(nth(observation, 2 * step + (numbers[step] % 2 == 0), *BUTTONS))


def generated_number(goal: str, observation: Observation, step: int) -> Action:
    """`Generate a number less than 7, then press submit.`, or an odd one. Generates until the number fits."""
    shown = next((int(line) for line in lines(observation) if line.isdigit()), None)
    if shown is None:
        return click(named(observation, "Generate", *BUTTONS))
    if limit := re.search(r"(less|greater) than (\d+)", goal):
        fits = shown < int(limit[2]) if limit[1] == "less" else shown > int(limit[2])
    else:
        fits = shown % 2 == ("odd" in goal)
    return submit(observation) if fits else click(named(observation, "Generate", *BUTTONS))


def nth_word(goal: str, observation: Observation, step: int) -> Action:
    """`Find the 4th word in the paragraph, type that into the textbox and press "Submit".`"""
    paragraph, place = below(observation).split(), ordinal(goal, r"the (\d+)\w\w word")
    if place >= len(paragraph):
        raise Unsolvable(f"Expected {place + 1} words, found {paragraph}.")
    return filled_or(observation, nth(observation, 0, *FIELDS), re.sub(r"[^a-zA-Z]", "", paragraph[place]))


def value_of_table(goal: str, observation: Observation, step: int) -> Action:
    """`Enter the value of Year of Birth into the text field and press Submit.`"""
    value = _in_table(said(goal, r"the value of (.+) into"), observation)
    return filled_or(observation, nth(observation, 0, *FIELDS), value)


def values_of_table(goal: str, observation: Observation, step: int) -> Action:
    """`Enter the value that corresponds with each label into the form and submit when done.`"""
    for place in (0, 1):
        field = nth(observation, place, *FIELDS)
        if field.value != (value := _in_table(field.name.removesuffix(":"), observation)):
            return fill(field, value)
    return submit(observation)


def searched_movie(goal: str, observation: Observation, step: int) -> Action:
    """`Search for drama movies directed by Hale from year 2011.` Labels are text, in the order of their fields."""
    for place, label in enumerate(line for line in lines(observation)[1:] if re.search("|".join(LABELS), line)):
        wanted = next(pattern for part, pattern in LABELS.items() if re.search(part, label))
        field = nth(observation, place, *FIELDS)
        if field.value != (value := said(goal, wanted)):
            return fill(field, value)
    return click(nth(observation, -1))


def _found(pattern: str, observation: Observation) -> tuple[str, ...]:
    """The groups of the pattern in the page's text."""
    match = re.search(pattern, text(observation))
    if match is None:
        raise Unsolvable(f"Expected text like {pattern!r}, found {text(observation)[:200]!r}.")
    return match.groups()


def _in_table(name: str, observation: Observation) -> str:
    """The value of a row in a table of names and values."""
    rows = [line.split("\t") for line in lines(observation)]
    value = next((row[1].strip() for row in rows if len(row) == 2 and row[0].strip() == name), None)
    if value is None:
        raise Unsolvable(f"Expected a row {name!r}, found {rows}.")
    return value
