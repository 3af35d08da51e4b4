"""Plays attempts at episodes for a rank: with its browsers and policy, into its stage's files; bugs become failures."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, Watch, play
from agent.episodes.watch import BlockWatch, Detect
from agent.model_config import TrainedPolicy
from agent.models.openai_chat import Served
from agent.types import Failure, StopReason, Trajectory
from agent.verdict import Judge
from browser_service.client import BrowserPool
from environments.base import Environment
from rollouts.shared_bounds import SharedBounds
from rollouts.stage_files import StageFiles
from rollouts.turn_gate import TurnGate
from storage.episode_phases import Phase
from storage.pauses import append_pause
from storage.store import Recording
from telemetry.ids import bound
from telemetry.spans import NOTHING, Span, current, under

logger = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """A running attempt at an episode."""

    slot: EpisodeKey
    recording: Recording
    began: float
    """On the event loop's clock."""


@dataclass
class Player:
    """The resources with which all episodes of a rank are played."""

    agent: AgentConfig
    environment: Environment
    pool: BrowserPool
    gate: TurnGate
    served: Served
    judge: Judge | None
    """For the display, and for replacing groups; None: there is no reward before the judge stage."""
    bounds: SharedBounds
    reuse: str | None
    detect: Detect | None = None
    """Tells a page that refuses the visit, which ends its episode."""
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """The running attempts, by trajectory id."""
    _files: StageFiles | None = None
    _stage: Span = NOTHING
    """The span of the stage that running episodes belong to."""

    @property
    def files(self) -> StageFiles:
        """The files of the stage that running episodes belong to now; carry-over changes it while they run."""
        assert self._files is not None, "an episode belongs to a stage"
        return self._files

    def move_to(self, files: StageFiles) -> None:
        """The running episodes belong to another stage from now on."""
        if self._files is not None:
            files.take_over(self._files)
        self._files, self._stage = files, current()

    async def play(self, slot: EpisodeKey) -> tuple[Played, float | None]:
        """Plays the next attempt at an episode. Returns the reward too, for the display and for replacing groups only.

        A bug in this code breaks the attempt as an infrastructure failure, and is never a reward. Raises OSError of the
        disk, which would fail every other episode too.
        """
        slot = slot._replace(attempt=self.files.attempt_of(slot.trajectory_id))
        # Set anew: the task that plays may have been started by an earlier stage.
        here = bound(iteration=slot.iteration, stage=str(self.files.stage), trajectory=slot.trajectory_id)
        with under(self._stage), here:
            return await self._attempt(slot)

    async def _attempt(self, slot: EpisodeKey) -> tuple[Played, float | None]:
        recording = self.files.store.begin(slot.trajectory_id)
        attempt = Attempt(slot, recording, asyncio.get_running_loop().time())
        # Registered while it runs: `ShardWorker` moves its recording on carry-over, and logs it if it is abandoned.
        self.attempts[slot.trajectory_id] = attempt
        self.bounds.recordings[slot.trajectory_id] = recording
        ended: Trajectory | None = None
        try:
            played, reward = await self._play(attempt)
            ended = played.trajectory
            return played, reward
        except Exception as error:
            # TimeoutError and ConnectionError are OSErrors too, but concern this attempt only.
            if isinstance(error, OSError) and not isinstance(error, TimeoutError | ConnectionError):
                raise
            logger.exception("%s attempt %d met a bug", slot.trajectory_id, slot.attempt)
            message = f"{type(error).__name__}: {error}"[:500]
            bug = Failure(side="infra", code="BUG", message=message, retryable=True)
            return Played(self.broken(attempt, bug), {}), None
        finally:
            self._of_host(slot, ended)
            del self.attempts[slot.trajectory_id]
            del self.bounds.recordings[slot.trajectory_id]

    def broken(self, attempt: Attempt, failure: Failure) -> Trajectory:
        """The trajectory of an attempt that returned none: its recorded steps, with `failure`."""
        seconds = asyncio.get_running_loop().time() - attempt.began
        return self.files.broken(attempt.slot, failure, seconds=seconds)

    def _of_host(self, slot: EpisodeKey, ended: Trajectory | None) -> None:
        """Records what an attempt tells of its host: it let the agent in, blocked it, or could not be reached."""
        failure = ended.failure if ended else None
        is_blocked = ended is not None and (ended.stop is StopReason.BLOCKED or self._ends_blocked(ended))
        bad = is_blocked or (failure is not None and failure.side == "site")
        good = ended is not None and not bad and (failure is None or failure.side == "policy")
        if pause := self.bounds.ended(slot, good=good, bad=bad):
            logger.warning(
                "no episode begins on %s for %.0f s: it blocks or is down", pause.host, pause.until - pause.at
            )
            append_pause(self.files.directory, pause)

    def _ends_blocked(self, ended: Trajectory) -> bool:
        page = ended.final_observation
        return self.detect is not None and page is not None and self.detect(page) is not None

    async def _play(self, attempt: Attempt) -> tuple[Played, float | None]:
        played = await play(
            attempt.slot,
            EpisodeSetup(
                policy=self.gate,
                pool=self.pool,
                serve=self.environment.serve,
                viewport=self.environment.viewport,
                config=self.agent,
                # Trajectories of a vendor's model belong to no version of the policy.
                policy_version=self.served.version if isinstance(self.agent.model, TrainedPolicy) else None,
                reuse=self.reuse,
            ),
            recording=attempt.recording,
            watch=self._watch(attempt.slot),
        )
        # A canary measures the judges: it is not shown as the policy's result, and its group is not replaced.
        if self.judge is None or attempt.slot.task.canary:
            return played, None
        return played, (await self.judge.judge(played.trajectory)).reward

    def _watch(self, slot: EpisodeKey) -> Watch:
        step = 0

        def tell(phase: str, steps: int) -> None:
            nonlocal step
            step = steps
            self.files.live.tell(slot.trajectory_id, cast(Phase, phase), steps, slot.attempt)

        async def may_go_on() -> None:
            # An episode can wait for a new policy only between two turns, or versions would mix within a turn.
            if not self.gate.is_open:
                tell("parked", step)
                await self.gate.opened()

        blocked = BlockWatch(self.detect, self.bounds.blocked_pages) if self.detect else None
        return Watch(self.bounds.gates, tell, blocked, may_go_on)
