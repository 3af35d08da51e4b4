"""Task templates of installed applications: their step budget and rubric, and checks of answers."""

from collections.abc import Mapping

from agent.types import Split
from environments.tasks.answers import is_number, is_text
from environments.tasks.templates import Check, Ending, Fill, Solve, Template

NO_OTHER_CHANGE = "Nothing else was changed, added or removed."


def made(
    name: str, split: Split, difficulty: int, fill: Fill, check: Check, solve: Solve, *facts: str, least_steps: int = 8
) -> Template:
    """A template whose rubric is the facts, and that nothing else changed. Harder tasks may take more steps."""
    return Template(
        name=name,
        split=split,
        difficulty=difficulty,
        max_steps=least_steps + 4 * difficulty,
        fill=fill,
        check=check,
        solve=solve,
        rubric=(*facts, NO_OTHER_CHANGE),
    )


def number_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the number, and nothing changed."""
    return {"answer": is_number(end.answer, float(end.parameters["answer"])), "no_side_effects": end.changes.only()}


def text_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the text, and nothing changed."""
    return {"answer": is_text(end.answer, end.parameters["answer"]), "no_side_effects": end.changes.only()}
