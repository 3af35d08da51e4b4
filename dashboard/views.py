"""Response models of the API: tables and summaries around the types of `agent`, which are shown unchanged."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.types import AgentAction, Failure, RecordedKind, StopReason, Task
from agent.verdict import Verdict
from browser_service.models import Observation
from storage.stages import Histogram

TrajectoryStage = Literal["rollout", "evaluate"]
Outcome = Literal["success", "fail", "unjudged", "broken"]
"""Outcome of a row: judged with reward >= 1 or less, not judged, or not finished because of a failure."""


class View(BaseModel):
    """Base of the responses: frozen."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class StageView(View):
    """One stage of one iteration."""

    stage: str
    finished: bool
    seconds: float | None = None
    """Seconds of the stage's own work; None until it has finished."""
    done: int = 0
    total: int = 0
    """Number of trajectories, for the progress while the stage runs."""
    note: str = ""
    counts: dict[str, int] = {}
    metrics: dict[str, float | None] = {}
    histograms: dict[str, Histogram] = {}
    """Of a policy update: reward, advantage, gap (nats) and lag (versions)."""
    alarms: list[str] = []


class IterationView(View):
    """One line of a run's table. None where a stage has not finished or was not due."""

    iteration: int
    train_success: float | None
    heldout_success: float | None
    steps_mean: float | None
    """Mean steps per judged episode, of the training rollout where there is one."""
    seconds: float | None
    """Sum over the finished stages."""
    stages: list[StageView]


class RunSummary(View):
    """One line in the list of runs."""

    name: str
    created: str
    iterations: int
    """The last iteration with a finished stage."""
    iterations_planned: int | None
    finished: bool
    now: str
    """The current or last stage. Example: `iteration 3, rollout 12/64`."""
    changed: float
    """Time of the newest stage's last write, in seconds since 1970."""
    heldout_first: float | None
    heldout_last: float | None
    train_last: float | None
    problems: list[str]
    """Sentences about files of the run that can't be read."""


class RunLink(View):
    """The same run in another program."""

    name: str
    id: str
    url: str
    """Empty when the program's address is not known."""


class RunView(RunSummary):
    """A run with its table."""

    links: list[RunLink]

    has_curve: bool
    """True if learning_curve.png has been drawn."""
    config: list[tuple[str, str]]
    """The configuration with dotted keys, in the file's order."""
    table: list[IterationView]


class TrajectoryRow(View):
    """One line in the list of trajectories."""

    id: str
    task: str
    domain: str
    goal: str
    member: int
    steps: int
    stop: StopReason
    outcome: Outcome
    reward: float | None
    blocked: bool
    failure: Failure | None
    answer: str | None
    policy_version: int | None
    attempt: int
    seconds: float
    picture: str | None
    """sha256 of the last picture."""


class Choices(View):
    """Number of trajectories of the stage that each filter would keep."""

    outcome: dict[str, int]
    stop: dict[str, int]
    domain: dict[str, int]


class BrokenAttempt(View):
    """An attempt that broke; the episode may have been played again since."""

    trajectory_id: str
    attempt: int
    at: str
    failure: Failure


class TrajectoryList(View):
    """The trajectories of one stage, filtered."""

    run: str
    iteration: int
    stage: TrajectoryStage
    total: int
    """Number before the filter."""
    rows: list[TrajectoryRow]
    choices: Choices
    broken_attempts: list[BrokenAttempt]
    problems: list[str]


class CompletionView(View):
    """The model's completion, without its tokens."""

    text: str
    prompt_tokens: int
    tokens: int
    logprob_mean: float | None
    """Mean natural-log probability of the sampled tokens."""
    finish_reason: str
    policy_version: int | None
    temperature: float
    images: tuple[str, ...]
    """sha256 of the pictures in the prompt."""


class StepView(View):
    """One turn of the replay."""

    index: int
    observation: Observation
    completion: CompletionView | None
    action: AgentAction | None
    feedback: str
    seconds: dict[str, float]
    begins_at: float
    """Seconds after the recordings began, which is when the browser was leased."""
    folded: bool = False
    """True if marks and texts of the page are left out; the steps' own route has them."""


class RecordedView(View):
    """A film or a trace, or why there is none."""

    kind: RecordedKind
    file: str
    """Name for fetching the file; empty when there is none."""
    size: int
    problem: str


class Replay(View):
    """A trajectory with its verdict, step by step."""

    run: str
    id: str
    task: Task
    goal: str
    group: str
    member: int
    iteration: int
    stage: TrajectoryStage
    steps: list[StepView]
    final_observation: Observation | None
    stop: StopReason
    outcome: Outcome
    answer: str | None
    final_state: str
    """The environment's record of the end, as indented JSON."""
    failure: Failure | None
    policy_version: int | None
    attempt: int
    seconds: float
    steps_end_at: float
    """Seconds after the recordings began at which the last step was over."""
    recorded: list[RecordedView]
    verdict: Verdict | None


class TokenView(View):
    """One sampled token."""

    id: int
    text: str
    """Empty without a tokenizer, and for all but the last token of a character."""
    logprob: float | None
    """Natural-log probability under the sampling policy, at the sampling temperature."""


class RequestView(View):
    """One request of a page."""

    step: int | None
    """Index of the step during or after which it was made; None: before the first one."""
    at_s: float
    """Seconds since the recording began."""
    method: str
    url: str
    resource_type: str
    content_type: str
    body: str
    """The beginning of what was sent, without the values of secret fields."""
    status: int | None
    error: str


class RequestList(View):
    """The requests of an episode's pages, in the order of sending."""

    total: int
    """Number of requests that the pages made; the rows are those that were recorded."""
    rows: list[RequestView]


class ConsoleView(View):
    """One message of a page, or an error that none of its scripts caught."""

    step: int | None
    """Index of the step during or after which it came; None: before the first one."""
    at_s: float
    """Seconds since the recording began."""
    kind: str
    text: str
    url: str
    line: int


class ConsoleList(View):
    """The messages of the console of an episode's pages."""

    full: bool
    """True if there was no room for further messages."""
    rows: list[ConsoleView]
