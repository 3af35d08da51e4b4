"""Task, history and page -> chat messages. The page comes first and the instruction last.

The order matters for learning: a model that has read the elements before the instruction can match the two directly.
Messages are in OpenAI's chat form; pictures are `data:` URLs, so that no server has to fetch anything.
"""

from collections.abc import Sequence
from types import MappingProxyType

from agent.config import AgentConfig
from agent.parsing import GRID
from agent.prompting.budget import PER_MESSAGE, Costs, first, fit, line_tokens, text_tokens
from agent.prompting.control_tokens import GENERIC, ControlTokens
from agent.prompting.conversation import (
    ACTION_LIMIT,
    FEEDBACK_LIMIT,
    Message,
    Prompt,
    conversation,
    picture_part,
    picture_tokens,
)
from agent.prompting.wording import Grid, describe, is_named, render
from agent.types import Pictures, Step
from browser_service.models import Observation

NO_PICTURES: Pictures = MappingProxyType({})


def compose(
    goal: str,
    history: Sequence[Step],
    observation: Observation,
    config: AgentConfig,
    pictures: Pictures = NO_PICTURES,
    control: ControlTokens = GENERIC,
) -> Prompt:
    """The prompt for the next action, in the form `config.prompt`. Only the system message may hold tokens of
    `control`.

    Raises ValueError if a screenshot is wanted and the observation has no picture data, `PromptTooLong` if the page and
    the instruction alone exceed `config.prompt_tokens`.
    """
    if config.prompt == "full":
        return conversation(goal, history, observation, config, pictures, control)
    return _compact(goal, history, observation, config, control)


def _compact(
    goal: str, history: Sequence[Step], observation: Observation, config: AgentConfig, control: ControlTokens
) -> Prompt:
    """Only page, history and task. Example of its text: `[1] "ok" button\\nTask: Click on ok.`"""
    marks = config.interaction_mode == "set_of_marks"
    grid = None if marks else Grid(GRID, observation.viewport)
    content: list[Message] = []
    images: tuple[str, ...] = ()
    if config.screenshot:
        part, sha256 = picture_part(observation, NO_PICTURES)
        content.append(part)
        images = (sha256,)
    described = (describe(mark, star=config.star_named and is_named(mark, goal)) for mark in observation.marks if marks)
    elements = [control.defused(line) for line in described]
    done = [control.defused(f"Done: {_step_line(step, grid)}") for step in history]
    task = control.defused(f"Task: {goal}")
    costs = Costs(
        fixed=text_tokens(task) + picture_tokens(observation, config) + PER_MESSAGE,
        rounds=[],
        lines=line_tokens(done),
        elements=line_tokens(elements),
    )
    kept = fit(costs, config.prompt_tokens, most_lines=config.history_steps)
    lines = [*first(elements, kept.elements), *done[len(done) - kept.lines :], task]
    content.append({"type": "text", "text": control.defused("\n".join(lines))})
    return Prompt([{"role": "user", "content": content}], images)


def _step_line(step: Step, grid: Grid | None) -> str:
    said = render(step.action, grid)[:ACTION_LIMIT] if step.action else "nothing"
    return f"{said} ({step.feedback[:FEEDBACK_LIMIT]})" if step.feedback else said
