"""One served episode: the reports of its page, and the `Site` for the episode loop.

The page is the judge: MiniWoB++ decides in the browser, so a compromised page could claim any reward. Its reports are
therefore validated, count only for their own token, and the first end counts; this benchmark allows no more protection.
"""

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agent.failures import failed
from agent.types import Reach, Task
from browser_service.models import LoginState


class Report(BaseModel):
    """Base of reports from a page: unknown fields rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Started(Report):
    """The task is on the screen. Example: `{"utterance": "Click on the \\"ok\\" button."}`."""

    utterance: Annotated[str, Field(min_length=1, max_length=4_000)]


class Ended(Report):
    """The page has decided. Example: `{"raw_reward": 1}`."""

    raw_reward: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


class Episode:
    """State of one token, from `serve` until its context is left. Implements `agent.types.Site`."""

    login: LoginState | None = None

    def __init__(self, task: Task, start_url: str, reach: Reach, *, goal_deadline_s: float) -> None:
        self.task = task
        self.start_url = start_url
        self.reach = reach
        self._goal_deadline_s = goal_deadline_s
        self._started = asyncio.Event()
        self._utterance = ""
        self._raw_reward: float | None = None

    def start(self, report: Started) -> None:
        """Records that the page is ready. A reload draws the same task from the same seed; its report is ignored."""
        if not self._started.is_set():
            self._utterance = report.utterance
            self._started.set()

    def end(self, report: Ended) -> bool:
        """Records the page's decision; returns False for a report before the start, or after the end."""
        if not self._started.is_set() or self._raw_reward is not None:
            return False
        self._raw_reward = report.raw_reward
        return True

    async def goal(self) -> str:
        """The page's instruction. Raises `EpisodeFailure` (site) if it is not stated in `goal_deadline_s` seconds."""
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
        """True if the page has decided."""
        return self._raw_reward is not None

    async def final_state(self) -> dict[str, Any]:
        """The recorded end, for `verifier.py`.

        Example: `{"done": True, "raw_reward": 1.0, "utterance": "Click on the \\"ok\\" button."}`
        """
        return {"done": self.is_over(), "raw_reward": self._raw_reward, "utterance": self._utterance}
