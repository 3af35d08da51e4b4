"""A policy that clicks at random: the lower bound for every success rate."""

import random
from collections.abc import Sequence

from agent.prompting.wording import render
from agent.types import AgentAction, Completion, Pictures, Step, Task, Turn
from browser_service.models import ClickCoords, ClickId, Observation


class Random:
    """Clicks a marked element chosen uniformly, or any point of a page without marks; seeded by task and step."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """Clicks a random element or point."""
        rng = random.Random(f"{self._seed}/{task.id}/{len(history)}")
        viewport = observation.viewport
        action: AgentAction = ClickCoords(x=rng.randrange(viewport.width), y=rng.randrange(viewport.height))
        if observation.marks:
            action = ClickId(id=rng.choice(observation.marks).id)
        return Turn(completion=Completion(text=render(action)), action=action)
