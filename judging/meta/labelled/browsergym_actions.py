"""Actions in BrowserGym's notation, such as `click('24')`, as actions of ours. Parsed as data, never evaluated."""

import ast
from typing import Any, NamedTuple

from agent.types import AgentAction
from browser_service.models import (
    Back,
    ClickCoords,
    ClickId,
    FillId,
    Forward,
    HoverId,
    Observe,
    SelectOption,
    VisitPage,
)
from judging.meta.labelled.making import action_or_look, answer_action

LONGEST = 20_000
ANSWERS = ("send_msg_to_user", "report_infeasible")
"""Calls that end the episode with words to the user."""


class Call(NamedTuple):
    """A function call with literal arguments. Example: `Call("fill", ("54", "42"))`."""

    name: str
    arguments: tuple[Any, ...]


def calls_of(text: str) -> list[Call]:
    """The calls in an action's text, in their order; none where it can't be parsed. Names of arguments are left out."""
    try:
        tree = ast.parse(text[:LONGEST].strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            values = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
            found.append(Call(node.value.func.id, tuple(_literal(value) for value in values)))
    return found


def answer_in(calls: list[Call]) -> str | None:
    """The words to the user that end the episode, None without any."""
    answers = [call for call in calls if call.name in ANSWERS and call.arguments and isinstance(call.arguments[0], str)]
    return answers[-1].arguments[0] if answers else None


def action_of(calls: list[Call]) -> AgentAction:
    """Our action for the first call; `observe` for one that we do not have, or whose element has no number."""
    if (answer := answer_in(calls)) is not None:
        return answer_action(answer)
    if not calls:
        return Observe()
    name, arguments = calls[0]
    first, second = (*arguments, None, None)[:2]
    match name:
        case "goto" | "new_tab":
            return action_or_look(VisitPage, url=first)
        case "go_back":
            return Back()
        case "go_forward":
            return Forward()
        case "mouse_click":
            return action_or_look(ClickCoords, x=first, y=second)
        case "click" | "dblclick" | "hover":
            return action_or_look(HoverId if name == "hover" else ClickId, id=_number(first))
        case "fill":
            return action_or_look(FillId, id=_number(first), value=second, press_enter=False)
        case "select_option":
            return action_or_look(SelectOption, id=_number(first), label=second)
        case _:
            return Observe()


def _number(mark: object) -> object:
    """An element's number; BrowserGym's ids inside of frames have letters, which no mark of ours has."""
    return int(mark) if isinstance(mark, str) and mark.isascii() and mark.isdigit() and len(mark) < 7 else mark


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
