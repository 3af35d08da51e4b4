"""Record of an unfinished episode: it survives a failure in the middle."""

import asyncio
import base64
from dataclasses import dataclass, field

from agent.recording import Recording
from agent.types import Step
from browser_service.models import Observation, StepReply


@dataclass
class EpisodeRecord:
    """Fields of the later `Trajectory`, filled as the episode goes."""

    goal: str = ""
    steps: list[Step] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    """Encoded pictures by sha256."""
    last: Observation | None = None
    answer: str | None = None
    final_state: dict[str, object] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds before the first step: serve, allocate, navigate."""
    recording: Recording | None = None
    recorded: set[str] = field(default_factory=set)

    async def keep(self, step: Step) -> None:
        """Adds a finished step; writes it and the new pictures to disk if the episode is recorded."""
        self.steps.append(step)
        if self.recording is not None:
            new = {sha256: data for sha256, data in self.images.items() if sha256 not in self.recorded}
            await asyncio.to_thread(self.recording.add, step, new)
            self.recorded |= new.keys()

    def see(self, reply: StepReply) -> Observation:
        """Keeps the picture's bytes; returns the observation for the policy, with the picture inside."""
        observation = reply.observation
        shot = observation.screenshot
        if shot is not None and shot.data is not None and shot.sha256 not in self.images:
            self.images[shot.sha256] = base64.b64decode(shot.data)
        self.last = observation
        return observation


def by_reference(observation: Observation) -> Observation:
    """The observation in its stored form: the picture's hash, without its bytes."""
    if observation.screenshot is None:
        return observation
    return observation.model_copy(update={"screenshot": observation.screenshot.model_copy(update={"data": None})})
