"""Settings of the agent: how it is prompted, how it samples, when an episode is given up."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.models.config import ModelConfig, TrainedPolicy
from agent.profiles import ProfileName
from browser_service.models import ImageFormat, InteractionMode

Keep = Literal["all", "failures", "none"]
SafetyPolicy = Literal["ask", "deny", "allow"]


class RecordConfig(BaseModel):
    """Section `agent.record`: what is recorded of every episode, and what is kept of it.

    `failures` records all, and removes what belongs to an episode that is judged a success (reward 1, not blocked).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    video: Keep = "none"
    """Films (WebM, one per tab), for people to look at."""
    trace: Keep = "none"
    """Playwright traces (zip): each action's snapshot and the network, for `playwright show-trace`."""

    @property
    def is_on(self) -> bool:
        """Whether anything is recorded."""
        return self.video != "none" or self.trace != "none"


class AgentConfig(BaseModel):
    """Section `agent` of a loop's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    interaction_mode: InteractionMode = "set_of_marks"
    """Whether the agent names numbered elements or points of the screen (a grid of 1000 x 1000)."""
    prompt: Literal["compact", "full"] = "full"
    """`full` is a conversation that explains the actions; `compact` gives only page, history and task, for models trained on it."""
    profile: ProfileName = "generic"
    """How the model is talked to: grid of points, syntax of an action, thinking. For the full prompt."""
    model: ModelConfig = TrainedPolicy()
    """Who acts. `{kind: policy}` is the policy that the loop trains."""
    safety: SafetyPolicy = "ask"
    """When a vendor's model wants a confirmation: `ask` a person, and end the episode when there is none; `deny`: the model
    has to find another way; `allow`: carry on, recorded on the step. For sites of one's own only."""
    confirm_deadline_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for a person to confirm."""
    screenshot: bool = True
    """Whether the prompt carries the current screenshot."""
    image_format: ImageFormat = "webp"
    """Of every screenshot: what the model sees, the store keeps and the update trains on are the same bytes. A full page of
    1280 x 720 takes 1.3 MB as PNG and a tenth of that as WebP."""
    image_quality: Annotated[int, Field(ge=1, le=100)] = 85
    """Of WebP and JPEG."""
    star_named: bool = False
    """Star the elements whose name occurs in the instruction: the overlap features that small agents on MiniWoB++ were given
    (Liu et al. 2018, arXiv 1802.08802). A model that reads well needs no stars."""
    draw_marks: bool = True
    """Whether the screenshot shows the marks' boxes and numbers (set-of-marks only)."""
    history_steps: Annotated[int, Field(ge=0, le=100)] = 8
    """How many earlier actions are told as text."""
    image_rounds: Annotated[int, Field(ge=0, le=20)] = 0
    """How many earlier rounds the full prompt tells with their pictures; the page itself always has its own. A 4B agent did
    best with none (OpenWebRL, arXiv 2606.02031: 74.1 against 68.2 % with one)."""
    memory: bool = True
    """Let the model write a line `Memory:` that it is shown again on the next turns. For the full prompt."""
    prompt_tokens: Annotated[int, Field(ge=256)] | None = None
    """Most tokens of a prompt; what does not fit is left out whole: oldest pictures, then history, then elements.
    None: what the server's context leaves beside `max_tokens`, where that is known."""
    max_tokens: Annotated[int, Field(ge=1)] = 1_024
    """Longest completion in tokens, of the policy and of chat models; a vendor's model has its own (8,192)."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Sampling temperature of training rollouts. top_p is 1 and top_k off: the update assumes the whole softmax."""
    max_format_errors: Annotated[int, Field(ge=1)] = 3
    """Outputs in a row that may fail to parse before the episode ends."""
    completion_deadline_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds for one answer of the model."""
    step_deadline_s: Annotated[float, Field(gt=0, le=120)] = 30.0
    """Seconds for one step of the browser."""
    lease_wait_s: Annotated[float, Field(ge=0, le=600)] = 120.0
    """Seconds to wait for a free browser."""
    episode_deadline_s: Annotated[float, Field(gt=0)] = 600.0
    """Seconds for a whole episode; one that takes longer is an infrastructure failure, never a reward of 0."""
    record: RecordConfig = RecordConfig()
    """Films and traces of episodes, beside their trajectories. Costs nothing when it is off; see docs/rollouts.md."""
