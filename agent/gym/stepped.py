"""An episode whose turns come from outside, one call at a time: `play` for a program with a loop of its own.

    begin() ──► play: serve, lease, open ──► act: Pause ──►┐
    step(turn) ◄───────────────────────────────────────────┘ and so on, until Played

Rollouts run the same loop, so steps, faults and ends are the same as in training.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from agent.episodes.episode import Played
from agent.types import Pictures, Policy, Step, Task, Turn
from browser_service.models import Observation


class Pause(NamedTuple):
    """The episode waits for a turn. Example: `Pause("Click on the \\"ok\\" button.", observation, last=None)`."""

    goal: str
    observation: Observation
    """The page, with its picture's bytes."""
    last: Step | None
    """The step before; None at the start."""


class SteppedEpisode:
    """One episode, used once. All calls must come from one event loop, each after the one before has returned."""

    def __init__(self, play: Callable[[Policy], Coroutine[Any, Any, Played]]) -> None:
        """`play` is `agent.episodes.episode.play` with all arguments bound but the policy."""
        self._play = play
        self._pauses: asyncio.Queue[Pause] = asyncio.Queue()
        self._turns: asyncio.Queue[Turn] = asyncio.Queue()
        self._playing: asyncio.Task[Played] | None = None

    async def begin(self) -> Pause | Played:
        """Plays until the first turn is needed. `Played` only if the episode failed before."""
        self._playing = asyncio.create_task(self._play(self), name="stepped episode")
        return await self._next(self._playing)

    async def step(self, turn: Turn) -> Pause | Played:
        """Takes a turn. `Played` when the episode is over, for any reason."""
        assert self._playing is not None, "an episode begins with begin()"
        self._turns.put_nowait(turn)
        return await self._next(self._playing)

    async def stop(self) -> None:
        """Cancels an unfinished episode: its lease and its site are released."""
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.wait({self._playing})

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The policy of the loop: passes the page to the caller of `step`, and waits for the turn."""
        self._pauses.put_nowait(Pause(goal, observation, history[-1] if history else None))
        return await self._turns.get()

    async def _next(self, playing: asyncio.Task[Played]) -> Pause | Played:
        """The next pause, or the end. Raises what `play` raises, which is a bug."""
        pausing = asyncio.create_task(self._pauses.get())
        try:
            await asyncio.wait({pausing, playing}, return_when=asyncio.FIRST_COMPLETED)
            return playing.result() if playing.done() else pausing.result()
        finally:
            pausing.cancel()
