"""One served episode: what its page has reported, and the `Site` that the episode loop talks to.

The page is the judge: MiniWoB++ decides in the browser, so a page that somebody took over could claim any reward. What it
sends is therefore validated, counts only for its own token, and the first end wins; more can't be had from this benchmark.
"""

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agent.failures import failed
from agent.types import Reach, Task


class Report(BaseModel):
    """Base of what a page sends: unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Started(Report):
    """The task is on the screen. Example: `{"utterance": "Click on the \\"ok\\" button."}`."""

    utterance: Annotated[str, Field(min_length=1, max_length=4_000)]


class Ended(Report):
    """The page has decided. Example: `{"raw_reward": 1}`."""

    raw_reward: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


class Episode:
    """The state of one token, from `serve` until its context is left. Implements `agent.types.Site`."""

    def __init__(self, task: Task, start_url: str, reach: Reach, *, goal_deadline_s: float) -> None:
        self.task = task
        self.start_url = start_url
        self.reach = reach
        self._goal_deadline_s = goal_deadline_s
        self._started = asyncio.Event()
        self._utterance = ""
        self._raw_reward: float | None = None

    def start(self, report: Started) -> None:
        """The page is ready. A reloaded page draws the same task from the same seed; its report changes nothing."""
        if not self._started.is_set():
            self._utterance = report.utterance
            self._started.set()

    def end(self, report: Ended) -> bool:
        """The page has decided; False if the report does not count: nothing has started yet, or it has ended before."""
        if not self._started.is_set() or self._raw_reward is not None:
            return False
        self._raw_reward = report.raw_reward
        return True

    async def goal(self) -> str:
        """The instruction, as the page states it. Raises `EpisodeFailure` (site) if it doesn't in `goal_deadline_s` seconds."""
        try:
            async with asyncio.timeout(self._goal_deadline_s):
                await self._started.wait()
        except TimeoutError:
            message = (
                f"The page of {self.task.id} did not state its task within {self._goal_deadline_s:g} s of being asked."
            )
            raise failed("site", "NO_GOAL", message, retryable=True) from None
        return self._utterance

    def is_over(self) -> bool:
        """Whether the page has decided."""
        return self._raw_reward is not None

    def final_state(self) -> dict[str, Any]:
        """Example: `{"done": True, "raw_reward": 1.0, "utterance": "Click on the \\"ok\\" button."}`; see `verifier.py`."""
        return {"done": self.is_over(), "raw_reward": self._raw_reward, "utterance": self._utterance}
