"""Where carried episodes wait while a policy is published, and how the publisher knows that none of them is asking.

open -> turns are asked for;  hold -> no new turn begins, and those under way are waited for;  serve -> open for the new policy
"""

import asyncio
from collections.abc import Sequence

from agent.models.openai_chat import OpenAIChat, Served
from agent.types import Pictures, Policy, Step, Task, Turn
from browser_service.models import Observation
from flows.usage import ServerMeter


class TurnGate:
    """A policy that can be held between two turns. It is one itself: give it to `agent.episode.play`."""

    def __init__(self, policy: Policy, meter: ServerMeter) -> None:
        """`meter` is told of each turn."""
        self._asking = 0
        self._meter = meter
        self._policy = policy
        self._open = asyncio.Event()
        self._open.set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def is_open(self) -> bool:
        """Whether turns are asked for."""
        return self._open.is_set()

    async def opened(self) -> None:
        """Waits until turns are asked for again."""
        await self._open.wait()

    async def hold(self, deadline_s: float) -> None:
        """No turn begins from now on; waits for those under way, at most `deadline_s` seconds: a later one is discarded,
        for the policy changes under it, and its episode is played again."""
        self._open.clear()
        try:
            async with asyncio.timeout(deadline_s):
                await self._quiet.wait()
        except TimeoutError:
            return

    def serve(self, served: Served) -> None:
        """Goes on with the policy that is served now; another's model, which has no versions, stays what it is."""
        if isinstance(self._policy, OpenAIChat) and self._policy.served.version is not None:
            self._policy.served = served
        self._open.set()

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The policy's turn, as soon as turns are asked for."""
        await self._open.wait()
        self._asking += 1
        self._quiet.clear()
        try:
            with self._meter.asking():
                return await self._policy.act(task, goal, history, observation, pictures)
        finally:
            self._asking -= 1
            if not self._asking:
                self._quiet.set()
