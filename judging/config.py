"""Configuration of the judges: the chain that is asked, and the judge model with its limits."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.model_config import RemoteModel
from judging.endpoints.budget import Price
from judging.rubric.settings import RubricSettings

JudgeName = Literal["verifier", "answer", "rubric"]
"""`verifier`: the environment's own check; `answer`: the task's expected answer; `rubric`: a judge model."""


class JudgeModel(RemoteModel):
    """The model behind the rubric judge. Keys stay in environment variables, named here."""

    kind: Literal["openai_chat", "gemini", "anthropic"] = "openai_chat"
    """`openai_chat`: any OpenAI-compatible server with vision, a local vLLM too."""
    base_url: str | None = None
    """Address without `/v1`; None: the vendor's own. Needed for `openai_chat`."""
    constrained: bool = True
    """Ask an OpenAI-compatible server to constrain replies by a JSON schema; it is left out once a server rejects it."""
    max_tokens: Annotated[int, Field(ge=64)] = 4_096
    """Largest reply in tokens."""
    deadline_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds for one call, retries included."""
    concurrency: Annotated[int, Field(ge=1, le=1_024)] = 8
    """Calls at the same time."""
    price: Price = Price()
    """Price of a million tokens, in any currency."""
    most_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens that one stage may spend; None: no limit. What is left then stays unjudged, until a resume."""
    most_cost: Annotated[float, Field(gt=0)] | None = None
    """Money that one stage may spend, in the currency of `price`."""

    @model_validator(mode="after")
    def _has_an_address(self) -> "JudgeModel":
        if self.kind == "openai_chat" and self.base_url is None:
            raise ValueError("openai_chat needs base_url, such as http://127.0.0.1:8000")
        if self.kind != "openai_chat" and self.api_key_env is None:
            raise ValueError(f"{self.kind} needs api_key_env, the name of the variable with the key")
        return self


class JudgeConfig(BaseModel):
    """Settings of the judge stage, and of judging in evaluations."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    chain: Annotated[list[JudgeName], Field(min_length=1)] = ["verifier", "answer"]
    """The judges in their order: the first that can decide decides."""
    ask_all: bool = False
    """Ask the later judges too, to record where they disagree; the first decision holds."""
    model: JudgeModel | None = None
    rubric: RubricSettings = RubricSettings()
    overlap: bool = False
    """Judge episodes while the rollout goes on, group by group as they are complete, so that a slow judge model does not
    wait for the last episode. The verdicts are the same; the judge stage asks for what is missing."""
    shuffle_rewards: bool = False
    """A control experiment: permute an iteration's rewards at random. A loop that still improves has a leak."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> "JudgeConfig":
        if len(set(self.chain)) < len(self.chain):
            raise ValueError(f"chain names a judge twice: {', '.join(self.chain)}")
        if "rubric" in self.chain and self.model is None:
            raise ValueError("chain has the rubric judge, which needs a model; set judge.model")
        if self.model is not None and "rubric" not in self.chain:
            raise ValueError("model is set but no judge asks it; add rubric to judge.chain, or leave model out")
        return self

    @property
    def trajectories_at_once(self) -> int:
        """Trajectories that are judged at the same time: enough to keep every call of the model busy."""
        return 1 if self.model is None else 4 * self.model.concurrency
