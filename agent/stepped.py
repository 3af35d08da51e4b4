"""An episode whose turns come from outside, one call at a time: `play` for a program that has a loop of its own.

    begin() ──► play: serve, lease, open ──► act: Pause ──►┐
    step(turn) ◄───────────────────────────────────────────┘ and so on, until Played

It is the loop that rollouts run, so what a step, a fault or an end is can't differ from what training sees.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from agent.episode import Played
from agent.types import Pictures, Policy, Step, Task, Turn
from browser_service.models import Observation


class Pause(NamedTuple):
    """The episode waits for a turn. Example: `Pause("Click on the \\"ok\\" button.", observation, last=None)`."""

    goal: str
    observation: Observation
    """The page, with its picture inside."""
    last: Step | None
    """The step that led here; None at the start."""


class SteppedEpisode:
    """One episode, used once. All calls belong to one event loop, and the next one waits until the last one has returned."""

    def __init__(self, play: Callable[[Policy], Coroutine[Any, Any, Played]]) -> None:
        """`play` is `agent.episode.play` with everything given but the policy."""
        self._play = play
        self._pauses: asyncio.Queue[Pause] = asyncio.Queue()
        self._turns: asyncio.Queue[Turn] = asyncio.Queue()
        self._playing: asyncio.Task[Played] | None = None

    async def begin(self) -> Pause | Played:
        """Plays until the first turn is wanted. `Played` only if something broke before."""
        self._playing = asyncio.create_task(self._play(self), name="stepped episode")
        return await self._next(self._playing)

    async def step(self, turn: Turn) -> Pause | Played:
        """Takes a turn. `Played` when the episode is over, by whatever reason."""
        assert self._playing is not None, "an episode begins with begin()"
        self._turns.put_nowait(turn)
        return await self._next(self._playing)

    async def stop(self) -> None:
        """Breaks off an episode that is not over: the browser is given back and the site forgotten."""
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.wait({self._playing})

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """What the loop asks of its policy: shows the page to whoever steps, and waits for the turn."""
        self._pauses.put_nowait(Pause(goal, observation, history[-1] if history else None))
        return await self._turns.get()

    async def _next(self, playing: asyncio.Task[Played]) -> Pause | Played:
        """The next pause, or the end. Raises what `play` raises: a bug."""
        pausing = asyncio.create_task(self._pauses.get())
        try:
            await asyncio.wait({pausing, playing}, return_when=asyncio.FIRST_COMPLETED)
            return playing.result() if playing.done() else pausing.result()
        finally:
            pausing.cancel()
