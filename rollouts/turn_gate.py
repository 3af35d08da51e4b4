"""The gate that pauses carried-over episodes while a policy is published, and waits for their running model calls.

open -> turns begin;  hold -> no new turn begins, and running turns are awaited;  resume_with -> open with the new policy
"""

import asyncio
from collections.abc import Sequence

from agent.models.openai_chat import OpenAIChat, Served
from agent.models.spread_chat import SpreadChat
from agent.types import Pictures, Policy, Step, Task, Turn
from browser_service.models import Observation
from rollouts.measures.usage import ServerMeter


class TurnGate:
    """A policy that can be paused between two turns. Implements `Policy`: give it to `agent.episodes.episode.play`."""

    def __init__(self, policy: Policy, meter: ServerMeter) -> None:
        """`meter` counts each turn."""
        self._asking = 0
        self._meter = meter
        self._policy = policy
        self._open = asyncio.Event()
        self._open.set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def is_open(self) -> bool:
        """True if turns may begin."""
        return self._open.is_set()

    async def opened(self) -> None:
        """Waits until turns may begin again."""
        await self._open.wait()

    async def hold(self, deadline_s: float) -> None:
        """Lets no turn begin from now on and waits up to `deadline_s` seconds for running turns. A longer turn is
        discarded, since the policy changes during it, and its episode is played again."""
        self._open.clear()
        try:
            async with asyncio.timeout(deadline_s):
                await self._quiet.wait()
        except TimeoutError:
            return

    def resume_with(self, served: Served) -> None:
        """Reopens the gate with the policy served now; a vendor's model, which has no versions, stays unchanged."""
        if isinstance(self._policy, OpenAIChat | SpreadChat) and self._policy.served.version is not None:
            self._policy.served = served
        self._open.set()

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The policy's turn, begun as soon as the gate is open."""
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
