"""A judge and its result."""

from typing import Annotated, Literal, Protocol

from pydantic import Field

from agent.types import Noun, Reward, Trajectory

Confidence = Literal["low", "medium", "high"]
"""A judge model's own estimate of how sure it is."""


class Vote(Noun):
    """One member's verdict in a panel's decision. Example: `Vote(member="cheap", model="m-8b", reward=1.0, key="5f0c..")`."""

    member: str
    """The member's name in `judge.models`."""
    model: str
    reward: Reward | None
    blocked: bool = False
    unjudged: str = ""
    confidence: Confidence | None = None
    key: str
    """`Verdict.key` of the member's own verdict, which is kept beside the stage's verdicts."""

    @property
    def outcome(self) -> str:
        """`success`, `no success`, `blocked`, or `unjudged`."""
        return outcome_of(self)


class Opinion(Noun):
    """The result of one judge of a chain, with its consumption: the chain's verdict has one of each judge that was asked.

    Example: `Opinion(judge="rubric", reward=0.0, model="m", tokens_in=900, tokens_out=120, cost=0.002, seconds=1.4)`"""

    judge: str
    """The judge's name in the chain: `verifier`, whatever the environment's check calls itself."""
    reward: Reward | None
    blocked: bool = False
    unjudged: str = ""
    flags: tuple[str, ...] = ()
    model: str = ""
    tokens_in: Annotated[int, Field(ge=0)] = 0
    tokens_out: Annotated[int, Field(ge=0)] = 0
    cost: Annotated[float, Field(ge=0)] = 0.0
    seconds: Annotated[float, Field(ge=0)] = 0.0


class Verdict(Noun):
    """A judge's result for one trajectory."""

    trajectory_id: str
    reward: Reward | None
    """From 0 to 1, otherwise rejected: a clamped number would not be the judge's. None when it could not be judged,
    which is never the same as 0."""
    criteria: dict[str, bool] = {}
    evidence: str = ""
    judge: str
    blocked: bool = False
    unjudged: str = ""
    """Code of the reason for `reward=None`, for counting. Example: `truncated`. The words are in `evidence`."""
    site_at_fault: bool = False
    """True if the site made the task impossible, whatever the policy did."""
    flags: tuple[str, ...] = ()
    """Suspicions that did not decide. Example: `("page_addresses_judge",)`."""
    evidence_steps: tuple[int, ...] = ()
    """Indices of the steps whose pages are the evidence; `len(steps)` is the page after the last action."""
    quotes: tuple[str, ...] = ()
    """Texts that the judge read on these pages."""
    model: str = ""
    """The judge's model; empty for a judge without one."""
    prompt_version: str = ""
    tokens_in: Annotated[int, Field(ge=0)] = 0
    tokens_out: Annotated[int, Field(ge=0)] = 0
    cost: Annotated[float, Field(ge=0)] = 0.0
    """Price of the judge's calls, in the currency of its price list."""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    opinions: tuple[Opinion, ...] = ()
    """All judges that a chain asked, in their order, the one that decided too; empty if only that one was asked."""
    confidence: Confidence | None = None
    """The judge's own estimate, where it was asked for one."""
    votes: tuple[Vote, ...] = ()
    """The verdicts of a panel's members that were asked, in their order; the flag `members_disagree` says that they differ."""
    person: str = ""
    """The person who decided; empty for every other judge."""
    decided_at: str = ""
    """Time of a person's decision, ISO 8601."""
    key: str = ""
    """Hash of all that the verdict depends on: trajectory, judge, model, prompt version, rubric. Empty: not cached."""


def outcome_of(verdict: Verdict | Vote) -> str:
    """`success`, `no success`, `blocked`, or `unjudged`: the decisions that can differ between judges."""
    if verdict.blocked:
        return "blocked"
    if verdict.reward is None:
        return "unjudged"
    return "success" if verdict.reward >= 1 else "no success"


class Judge(Protocol):
    """Turns evidence into a verdict."""

    name: str

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """Returns the verdict; `reward=None` when it can't be decided."""
        ...
