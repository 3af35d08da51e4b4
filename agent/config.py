"""Settings of the agent: prompt, sampling, and the limits that end an episode."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.model_config import ModelConfig, TrainedPolicy
from agent.profiles import ProfileName
from agent.types import Task
from browser_service.models import ImageFormat, InteractionMode, Recording

Keep = Literal["all", "failures", "none"]
SafetyPolicy = Literal["ask", "deny", "allow"]


class RecordConfig(BaseModel):
    """Section `agent.record`: what is recorded of every episode, and which recordings are kept.

    `failures` records every episode, and removes the recordings of one that is judged a success (reward 1, not
    blocked).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    video: Keep = "none"
    """Films (WebM, one per tab), for people to watch."""
    trace: Keep = "none"
    """Playwright traces (zip): each action's snapshot and the network, for `playwright show-trace`."""
    network: Literal["all", "expected", "none"] = "expected"
    """Logs of the requests of the pages, for judges, and kept whatever the verdict is: `expected` for tasks whose `expect`
    has the kind `network`."""
    console: Literal["all", "none"] = "none"
    """Logs of the console of the pages (the first 500 messages of an episode), for people."""

    @property
    def is_on(self) -> bool:
        """True if every episode is recorded."""
        return self.video != "none" or self.trace != "none" or self.network == "all" or self.console == "all"

    def wanted(self, task: Task) -> Recording | None:
        """The recordings of an episode of this task; None for none."""
        network = self.network == "all" or (self.network == "expected" and expects_network(task))
        wanted = Recording(
            video=self.video != "none", trace=self.trace != "none", network=network, console=self.console == "all"
        )
        return wanted if wanted.is_on else None


def expects_network(task: Task) -> bool:
    """True if the task's expectation is about requests (`judging.verifiers.expectations.NetworkExpectation`)."""
    expect = task.expect or {}
    each = expect.get("each") if expect.get("kind") == "all" else [expect]
    return isinstance(each, list | tuple) and any(
        isinstance(one, dict) and one.get("kind") == "network" for one in each
    )


class AgentConfig(BaseModel):
    """Section `agent` of a loop's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    interaction_mode: InteractionMode = "set_of_marks"
    """`set_of_marks`: the agent names numbered elements; `coordinates`: points of the screen (a grid of 1000 x
    1000)."""
    prompt: Literal["compact", "full"] = "full"
    """`full` is a conversation that explains the actions; `compact` has only page, history and task, for models trained
    on it."""
    profile: ProfileName = "generic"
    """Conventions of the model family: grid of points, syntax of an action, thinking. For the full prompt."""
    model: ModelConfig = TrainedPolicy()
    """The model that acts. `{kind: policy}` is the policy that the loop trains."""
    safety: SafetyPolicy = "ask"
    """When a vendor's model wants a confirmation: `ask` a person, and end the episode without an answer; `deny`: the
    model has to find another way; `allow`: carry on, recorded on the step. Use `allow` only on your own sites."""
    confirm_deadline_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for a person to confirm."""
    screenshot: bool = True
    """Include the current screenshot in the prompt."""
    image_format: ImageFormat = "webp"
    """Format of every screenshot: the model, the store and the update use the same bytes. A full page of 1280 x 720
    takes 1.3 MB as PNG and a tenth of that as WebP."""
    image_quality: Annotated[int, Field(ge=1, le=100)] = 85
    """Quality of WebP and JPEG."""
    ax_tree: bool = False
    """Store the page's accessibility tree with each observation; the model does not see it. Step advantages
    (`update.step_weight`) then compare whole pages; without it they compare the numbered elements."""
    star_named: bool = False
    """Star the elements whose name occurs in the instruction: overlap features for small agents on MiniWoB++ (Liu et
    al. 2018, arXiv 1802.08802). A model that reads well needs no stars."""
    draw_marks: bool = True
    """Draw the marks' boxes and numbers on the screenshot (set-of-marks only)."""
    history_steps: Annotated[int, Field(ge=0, le=100)] = 8
    """Number of earlier actions in the prompt, as text."""
    image_rounds: Annotated[int, Field(ge=0, le=20)] = 0
    """Number of earlier rounds that the full prompt shows with their pictures; the current page always has its own. A
    4B agent did best with none (OpenWebRL, arXiv 2606.02031: 74.1 against 68.2 % with one)."""
    memory: bool = True
    """Let the model write a line `Memory:` that later prompts repeat. For the full prompt."""
    prompt_tokens: Annotated[int, Field(ge=256)] | None = None
    """Largest number of tokens of a prompt; parts beyond it are left out whole: oldest pictures, then history, then
    elements. None: the server's context less `max_tokens`, where that is known."""
    max_tokens: Annotated[int, Field(ge=1)] = 1_024
    """Largest completion in tokens, of the policy and of chat models; a vendor's model has its own limit (8,192)."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Sampling temperature of training rollouts. top_p is 1 and top_k off: the update assumes the whole softmax."""
    seed: Annotated[int, Field(ge=0)] | None = None
    """Seed of the sampling of a policy at a chat server: each turn of an episode has a seed of its own, so that an episode
    that is played again says the same again. None: the server's own randomness."""
    max_format_errors: Annotated[int, Field(ge=1)] = 3
    """Consecutive outputs that fail to parse before the episode ends."""
    completion_deadline_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds for one answer of the model."""
    step_deadline_s: Annotated[float, Field(gt=0, le=120)] = 30.0
    """Seconds for one step of the browser."""
    lease_wait_s: Annotated[float, Field(ge=0, le=600)] = 120.0
    """Seconds to wait for a free browser."""
    episode_deadline_s: Annotated[float, Field(gt=0)] = 600.0
    """Seconds for a whole episode; a longer one is an infrastructure failure, never a reward of 0."""
    record: RecordConfig = RecordConfig()
    """Films and traces of episodes, beside their trajectories. No cost when off; see docs/rollouts.md."""
