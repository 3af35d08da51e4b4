"""Types that all packages share, and the protocols of an episode.

A `Trajectory` carries no reward and a `Verdict` no steps, so judging can be repeated without touching the evidence.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from browser_service.models import Action, Isolation, LoginState, Observation, Wire

Split = Literal["train", "heldout"]
JudgeName = Literal["verifier", "answer", "rubric", "panel"]
"""Judges that a chain can name. `verifier`: the environment's own check; `answer`: the task's expected answer; `rubric`: a
judge model; `panel`: several judge models."""
Side = Literal["policy", "site", "infra", "judge"]


def only_finite(value: dict[str, Any]) -> dict[str, Any]:
    """Returns the JSON object unchanged. Raises ValueError for NaN or Infinity in it; JSON would store null."""
    left: list[Any] = [value]
    while left:
        match left.pop():
            case float() as number if not math.isfinite(number):
                raise ValueError(f"expected finite numbers, found {number}")
            case dict() as inner:
                left.extend(inner.values())
            case list() | tuple() as inner:
                left.extend(inner)
    return value


def without_repetition(chain: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the chain of judges unchanged. Raises ValueError for a judge that it names twice."""
    if len(set(chain)) < len(chain):
        raise ValueError(f"names a judge twice: {', '.join(chain)}")
    return chain


JsonObject = Annotated[dict[str, Any], AfterValidator(only_finite)]
Reward = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Noun(BaseModel):
    """Base of stored types: frozen, unknown fields rejected, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Task(Noun):
    """One thing to do. Example: `Task(id="click-button.1000007", environment="miniwob", domain="click-button", seed=1000007)`."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    environment: str
    """Name of the environment that serves and checks the task."""
    goal: str = ""
    """Instruction for the agent; empty when the page itself states it at run time (MiniWoB++)."""
    start_url: str = ""
    """Address where the episode starts; empty when the environment makes one for each episode."""
    domain: str = ""
    """Task family or site, for metrics by group."""
    seed: int = 0
    max_steps: Annotated[int, Field(ge=1, le=1_000)] = 10
    split: Split = "train"
    difficulty: Annotated[int, Field(ge=1)] = 1
    reference_answer: str | None = None
    expect: JsonObject | None = None
    """The expected answer or end, for a verifier without a model; goes before `reference_answer`. Its kinds are in
    `judging.verifiers.expectations`. Example: `{"kind": "set", "items": ["Basic", "Pro"]}`."""
    rubric: tuple[str, ...] = ()
    canary: bool = False
    """True if nobody can do the task, such as one about an element that does not exist: it measures the judges, and is
    never trained on. A verdict that calls it a success is wrong."""
    judge: Annotated[tuple[JudgeName, ...], Field(max_length=8), AfterValidator(without_repetition)] = ()
    """The task's own chain of judges, in place of the configuration's; empty: the configuration's.
    Example: `("answer", "panel")`."""
    labels: dict[str, str] = {}
    """Further facts about the task, for sampling and for export. Example: `{"subdomain": "flights"}`."""


class Answer(Wire):
    """The agent ends the episode with an answer. Example: `{"kind": "answer", "text": "42 EUR"}`."""

    kind: Literal["answer"] = "answer"
    text: Annotated[str, Field(max_length=10_000)] = ""


AgentAction = Annotated[Action | Answer, Field(discriminator="kind")]


class Completion(Noun):
    """The exact sample of the model: the update trains on these tokens.

    Example: `Completion(text="click(3)", prompt_token_ids=(...), token_ids=(311, 9, 18, 10, 2), logprobs=(-0.1, ...),
    finish_reason="stop", policy_version=3, images=("9f8c...",))`
    """

    text: str
    prompt_token_ids: tuple[int, ...] = ()
    """Prompt as the server saw it, image placeholders expanded. Empty for policies without tokens."""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    """Natural-log probability of each of `token_ids` under the sampling policy, at the sampling temperature."""
    finish_reason: Literal["stop", "length"] = "stop"
    policy_version: int | None = None
    images: tuple[str, ...] = ()
    """sha256 of the pictures in the prompt, in their order."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    thoughts: str = ""
    """The model's thinking, where the server or the vendor separates it from the reply."""
    raw: dict[str, Any] = {}
    """A vendor's verbatim answer, from which the conversation is rebuilt. Never holds a key."""


class SafetyDecision(Noun):
    """A request of a vendor's model for a person's confirmation, with its decision.

    Example: `SafetyDecision(asked="accept the cookies?", decision="denied")`"""

    asked: str
    """The request, in the model's or the vendor's words."""
    decision: Literal["allowed", "denied", "unanswered"]
    by: Literal["configuration", "person"]


class Step(Noun):
    """One turn: observation, completion, action, and the page's response."""

    index: int
    observation: Observation
    """The page before the action; the picture is a reference, its bytes are in the store."""
    completion: Completion | None
    """None for the second and later actions of one reply: the model was asked once for all of them."""
    action: AgentAction | None
    """None when the text could not be parsed; `feedback` has the reason."""
    feedback: str = ""
    """Why the action failed, as text for the agent: a parse error, an action without effect."""
    effect: str = ""
    """The effect of the action on the page, as text for the agent."""
    safety: SafetyDecision | None = None
    """The requested confirmation before the action, and its decision."""
    seconds: dict[str, float] = {}
    """Seconds per phase: think, step (the whole call to the browser), and the service's parts of it: act, settle, ..,
    total."""

    @property
    def is_unparsed(self) -> bool:
        """True if the model's output could not be parsed; an action that a person did not confirm could be."""
        return self.completion is not None and self.action is None and self.safety is None


class StopReason(StrEnum):
    """Why an episode ended."""

    ANSWERED = "answered"
    """The agent gave an answer."""
    DONE = "done"
    """The environment ended the episode."""
    MAX_STEPS = "max_steps"
    """The task's step budget is used up."""
    FORMAT = "format"
    """Too many outputs in a row could not be parsed."""
    SAFETY = "safety"
    """The model asked for a person's confirmation and got no answer (`agent.episodes.safety: ask`)."""
    BLOCKED = "blocked"
    """The site refused the visit, by a CAPTCHA for example. Not a failure, and never a reward."""
    FAILED = "failed"
    """Something broke; `Trajectory.failure` names the side."""


class Failure(Noun):
    """A failure of an episode, and its side.

    Example: `Failure(side="infra", code="BROWSER_CRASHED", message="...", retryable=True)`"""

    side: Side
    code: str
    message: str
    retryable: bool
    """True if a retry of the same episode may succeed."""


RecordedKind = Literal["video", "trace", "network", "console"]


class Recorded(Noun):
    """A film, a trace, a log of requests or of the console of an episode.

    Example: `Recorded(kind="video", file="video.webm", size=48213)`."""

    kind: RecordedKind
    file: str = ""
    """File name in the trajectory's folder; empty when there is none. The rule `failures` of `agent.record` removes the
    file of a success once it is judged."""
    size: int = 0
    """Bytes."""
    problem: str = ""
    """Why it could not be fetched; the episode stays valid without it."""


class Trajectory(Noun):
    """One finished episode: the evidence, without any reward."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]
    """Made from content (iteration, task, member), never from time: the same slot has the same id on a resume."""
    task: Task
    goal: str
    """The agent's instruction."""
    group: str
    """Trajectories of one group share the task and are compared with one another."""
    member: int
    iteration: int
    steps: tuple[Step, ...]
    stop: StopReason
    final_observation: Observation | None = None
    """The page after the last action; None when the episode broke before it was observed."""
    answer: str | None = None
    final_state: JsonObject = {}
    """The environment's record of the end, for its verifier. MiniWoB++: `{"done": true, "raw_reward": 1.0}`."""
    failure: Failure | None = None
    policy_version: int | None = None
    attempt: int = 1
    seconds: float = 0.0
    phases: dict[str, float] = {}
    """Seconds before the first step: serve (the environment), allocate (a free browser), navigate (the start page).
    Later phases are in the steps; `record`, after the last one, is the time to fetch recordings."""
    recorded: tuple[Recorded, ...] = ()
    """Films, traces and logs of requests, where `agent.record` asked for them."""


class Turn(Noun):
    """A policy's output: the raw completion, and the parsed action or the reason why there is none."""

    completion: Completion | None
    """None for a further action of the reply before."""
    action: AgentAction | None
    format_error: str | None = None
    confirm: str | None = None
    """Request for a person's confirmation before the action; None when nothing has to be confirmed."""
    note: str = ""
    """Note to the agent besides the effect, such as a point that was moved into the page."""


Pictures = Mapping[str, bytes]
"""The pictures of an episode so far, encoded, by sha256: earlier steps only have their hashes."""


class Policy(Protocol):
    """Chooses the next action. `task` is for scripted policies and logs; a model sees only goal, history and page."""

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """The next turn. Raises `agent.failures.EpisodeFailure` when the model's side broke."""
        ...


class Reach(Noun):
    """Hosts that an episode's browser may reach, and its isolation; by default the open web, no private address.

    It comes from the environment and the configuration, never from a task: task files are not trusted.
    Example: `Reach(sites=("127.0.0.1:8000",), only_sites=True)`
    """

    sites: tuple[str, ...] = ()
    """Addresses from which the environment serves the site, such as `127.0.0.1:8000`; other private ones are
    blocked."""
    only_sites: bool = False
    """True if only `sites` can be reached."""
    blocked_hosts: tuple[str, ...] = ()
    """Blocked hosts, their subdomains included."""
    isolation: Isolation | None = None
    """`browser`: a separate Chromium; `context`: a context in a shared one; None: the browser service's default."""


class Site(Protocol):
    """One episode's own copy of a task's site, served by the environment."""

    start_url: str
    reach: Reach
    login: LoginState | None
    """Cookies and local storage that the browser has before the start page; None: a browser without any."""

    async def goal(self) -> str:
        """The instruction, after the start page is open. Raises `EpisodeFailure` if the page never states it."""
        ...

    def is_over(self) -> bool:
        """True if the environment has ended the episode."""
        ...

    async def final_state(self) -> dict[str, Any]:
        """The environment's record of the site as it is now, for the verifier; the browser can't reach it.

        Raises `EpisodeFailure` (infra) when the site can't be read: it is gone, or does not answer in time.
        """
        ...
