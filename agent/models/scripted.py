"""A policy that plays an environment's own solution: proves that tasks can be solved, and is fast in tests."""

from collections.abc import Callable, Sequence

from agent.failures import failed
from agent.prompting.wording import render
from agent.types import AgentAction, Completion, Pictures, Step, Task, Turn
from browser_service.models import Observation

Solution = Callable[..., AgentAction]
"""Called as `solve(task, goal, observation, step=n)`; `environments.base.Environment.solve` fits."""


class Scripted:
    """Acts by a scripted solution. Its completions have text but no tokens, so they can't be trained on."""

    def __init__(self, solve: Solution) -> None:
        self._solve = solve

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The solution's next action. Raises `EpisodeFailure` when the solution does not know the page."""
        try:
            action = self._solve(task, goal, observation, step=len(history))
        except (RuntimeError, ValueError) as error:  # `Unsolvable` and `UnknownTask` of the environments
            raise failed("policy", "UNSOLVABLE", str(error)[:500], retryable=False) from error
        return Turn(completion=Completion(text=render(action)), action=action)
