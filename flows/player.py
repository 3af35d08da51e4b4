"""Plays attempts at episodes for a rank: with which browsers and policy, told to which files, and what a bug of ours makes of one."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from agent.config import AgentConfig
from agent.episode import Played, Slot, Watch, play
from agent.judging.verifier import Verifier
from agent.models.config import TrainedPolicy
from agent.models.openai_chat import Served
from agent.store import Recording
from agent.types import Failure, Trajectory
from browser_service.client import BrowserPool
from environments.base import Environment
from flows.gate import TurnGate
from flows.live import Phase
from flows.shared_bounds import SharedBounds
from flows.stage_files import StageFiles

logger = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """A try of an episode that is under way."""

    slot: Slot
    recording: Recording
    began: float
    """On the event loop's clock."""


@dataclass
class Player:
    """What all episodes of a rank are played with."""

    agent: AgentConfig
    environment: Environment
    pool: BrowserPool
    gate: TurnGate
    served: Served
    bounds: SharedBounds
    reuse: str | None
    files: Callable[[], StageFiles]
    """Of the stage that what is under way belongs to now."""
    changing: Callable[[], None]
    """Called before each phase of an episode begins."""
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """What is under way, by trajectory id."""

    async def play(self, slot: Slot) -> tuple[Played, float | None]:
        """The next attempt at an episode, and its reward, which is only for the display and for what is replaced.

        A bug of ours breaks the attempt as the infrastructure would, and is never a reward. Raises OSError of the disk: what
        it refuses to one episode it refuses to all.
        """
        slot = slot._replace(attempt=self.files().attempt_of(slot.trajectory_id))
        recording = self.files().store.begin(slot.trajectory_id)
        attempt = Attempt(slot, recording, asyncio.get_running_loop().time())
        self.attempts[slot.trajectory_id] = attempt
        self.bounds.recordings[slot.trajectory_id] = recording
        try:
            return await self._play(attempt)
        except Exception as error:
            if isinstance(error, OSError) and not isinstance(error, TimeoutError | ConnectionError):
                raise
            logger.exception("%s attempt %d met a bug", slot.trajectory_id, slot.attempt)
            message = f"{type(error).__name__}: {error}"[:500]
            bug = Failure(side="infra", code="BUG", message=message, retryable=True)
            return Played(self.broken(attempt, bug), {}), None
        finally:
            del self.attempts[slot.trajectory_id]
            del self.bounds.recordings[slot.trajectory_id]

    def broken(self, attempt: Attempt, failure: Failure) -> Trajectory:
        """What is left of an attempt that gave no trajectory of its own."""
        seconds = asyncio.get_running_loop().time() - attempt.began
        return self.files().broken(attempt.slot, failure, seconds=seconds)

    async def _play(self, attempt: Attempt) -> tuple[Played, float | None]:
        played = await play(
            attempt.slot,
            policy=self.gate,
            pool=self.pool,
            serve=self.environment.serve,
            viewport=self.environment.viewport,
            config=self.agent,
            # Another model's trajectories belong to no version of the policy.
            policy_version=self.served.version if isinstance(self.agent.model, TrainedPolicy) else None,
            reuse=self.reuse,
            recording=attempt.recording,
            watch=self._watch(attempt.slot),
        )
        return played, (await Verifier(self.environment.check).judge(played.trajectory)).reward

    def _watch(self, slot: Slot) -> Watch:
        step = 0

        def tell(phase: str, steps: int) -> None:
            nonlocal step
            self.changing()
            step = steps
            self.files().live.tell(slot.trajectory_id, cast(Phase, phase), steps, slot.attempt)

        async def may_go_on() -> None:
            if not self.gate.is_open:
                tell("parked", step)
                await self.gate.opened()

        return Watch(self.bounds.gates, tell, may_go_on)
