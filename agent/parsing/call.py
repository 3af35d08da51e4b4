"""Finds the one call in a model's text, such as `click(3)`, and parses it without running anything."""

import ast
from typing import NamedTuple

from agent.parsing.errors import FormatError
from agent.storable import storable

MAX_CALL_CHARACTERS = 12_000

MOST_DIGITS = 100
"""Largest number of digits of an integer: card and parcel numbers have fewer, and no coordinate or element has more."""

Argument = str | int | float


class Call(NamedTuple):
    """A parsed call. Example: `Call(name="type", arguments=(2, "ann"))`, or `Call("scroll", named={"direction": "up"})`."""

    name: str
    arguments: tuple[Argument, ...] = ()
    named: dict[str, Argument] = {}


def parse_call(text: str, *, named: bool = False) -> Call:
    """The call on the last non-empty line, after an optional `Action:`. Raises FormatError.

    Only literals are accepted as arguments: the syntax tree is read, nothing is evaluated. `named` also takes
    `click(id=3)`.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        raise FormatError("the reply is empty; expected one action such as click(3)")
    line = lines[-1].removeprefix("Action:").strip().strip("`").strip()
    if len(line) > MAX_CALL_CHARACTERS:
        raise FormatError(f"the action has {len(line)} characters; at most {MAX_CALL_CHARACTERS} are read")
    try:
        tree = ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise FormatError(f"{line[:60]!r} is no action; expected one such as click(3)") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or (tree.keywords and not named):
        raise FormatError(f"{line[:60]!r} is no action; expected one such as click(3)")
    if any(keyword.arg is None for keyword in tree.keywords):
        raise FormatError("arguments must be plain numbers or quoted text")
    return Call(
        tree.func.id,
        tuple(_literal(node) for node in tree.args),
        {keyword.arg: _literal(keyword.value) for keyword in tree.keywords if keyword.arg is not None},
    )


def plain(value: str | int | float) -> Argument:
    """A literal as an argument, its text storable. Raises FormatError for an integer with too many digits."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
        raise FormatError(f"the number is too large: a whole number has at most {MOST_DIGITS} digits")
    return value


def _literal(node: ast.expr) -> Argument:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return plain(-value)
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str | int | float)
        and not isinstance(node.value, bool)
    ):
        return plain(node.value)
    raise FormatError("arguments must be plain numbers or quoted text")
