"""Parts of the tracker's task templates: words of their goals, steps, rubric."""

from agent.types import Split
from environments.tasks.templates import Check, Fill, Solve, Template

NO_OTHER_CHANGE = "Nothing else was changed, added or removed."
ANSWERED = "The answer is what the page shows."
OWN = 'the issue "{subject}", which is assigned to Robin Vale'
NUMBERED = "the issue #{number} of {project}"
NAMED = 'the issue "{subject}" of {project}'


def made(name: str, split: Split, difficulty: int, fill: Fill, check: Check, solve: Solve, fact: str) -> Template:
    """A template whose rubric is one fact, and that nothing else changed."""
    return Template(
        name=name,
        split=split,
        difficulty=difficulty,
        max_steps=8 + 4 * difficulty,
        fill=fill,
        check=check,
        solve=solve,
        rubric=(fact, NO_OTHER_CHANGE),
    )
