"""Keeps a prompt below a number of tokens by leaving out whole parts: a picture is included or not, never cut."""

import math
import re
from typing import NamedTuple

PER_MESSAGE = 8
"""Tokens around a message: role, begin, end."""
_DIGIT = re.compile(r"[0-9]")


class PromptTooLong(ValueError):
    """The page and the instruction alone exceed the budget. The message has both numbers."""


def text_tokens(text: str) -> int:
    """Upper estimate of a text's tokens without the model's tokenizer: one per digit, and one per three bytes of the
    rest.

    English takes about one per four bytes; digits are single tokens in Qwen's and Llama's vocabularies.
    """
    digits = len(_DIGIT.findall(text))
    return digits + math.ceil((len(text.encode("utf-8", "replace")) - digits) / 3)


def line_tokens(lines: list[str]) -> list[int]:
    """Upper estimate of the tokens of each line, with its line end."""
    return [text_tokens(line) + 1 for line in lines]


class Costs(NamedTuple):
    """Tokens of the parts that may be left out, oldest first, and of the fixed rest."""

    fixed: int
    rounds: list[int]
    """Earlier rounds with their picture."""
    lines: list[int]
    """Every earlier step as a line, the rounds included: a round that loses its picture becomes its line."""
    elements: list[int]


class Kept(NamedTuple):
    """Numbers of parts that stay: the newest rounds, the newest lines of the steps before them, the first elements."""

    rounds: int
    lines: int
    elements: int


def fit(costs: Costs, budget: int | None, *, most_lines: int) -> Kept:
    """Chooses the parts of a prompt: drops the oldest pictures first, then the oldest history lines, then the last
    elements.

    Raises `PromptTooLong` when the fixed parts alone do not fit.
    """
    rounds, elements = len(costs.rounds), len(costs.elements)
    lines = min(most_lines, len(costs.lines) - rounds)
    if budget is None:
        return Kept(rounds, lines, elements)
    while rounds and _total(costs, rounds, lines, elements) > budget:
        rounds -= 1
        lines = min(most_lines, len(costs.lines) - rounds)
    while lines and _total(costs, rounds, lines, elements) > budget:
        lines -= 1
    spare = budget - _total(costs, rounds, lines, 0)
    kept = 0
    while kept < elements and costs.elements[kept] <= spare:
        spare -= costs.elements[kept]
        kept += 1
    if spare < 0:
        raise PromptTooLong(
            f"the page and the instruction take about {budget - spare} tokens, but agent.prompt_tokens is {budget}"
        )
    return Kept(rounds, lines, kept)


def first(elements: list[str], kept: int) -> list[str]:
    """The first `kept` elements, and a line with the number of the others."""
    left_out = len(elements) - kept
    return [*elements[:kept], f"({left_out} more elements are not listed)"] if left_out else elements


def _total(costs: Costs, rounds: int, lines: int, elements: int) -> int:
    summarized = len(costs.lines) - rounds
    return (
        costs.fixed
        + sum(costs.rounds[len(costs.rounds) - rounds :])
        + sum(costs.lines[summarized - lines : summarized])
        + sum(costs.elements[:elements])
    )
