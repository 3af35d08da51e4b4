"""Configuration of the judges: the chains that are asked, the judge models with their limits, and the panel."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from agent.model_config import RemoteModel
from agent.types import JudgeName, Task, without_repetition
from judging.endpoints.budget import Price
from judging.panels.settings import PanelSettings
from judging.rubric.settings import RubricSettings

ONLY = "model"
"""Name of the model in `judge.model` among the judge models."""
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
ChainConfig = Annotated[list[JudgeName], Field(min_length=1), AfterValidator(without_repetition)]


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

    chain: ChainConfig = ["verifier", "answer"]
    """The judges in their order: the first that can decide decides. A task's own `judge` goes before it."""
    environments: dict[str, ChainConfig] = {}
    """Chains of single environments, in place of `chain`. Example: `{miniwob: [verifier], live: [answer, rubric]}`."""
    ask_all: bool = False
    """Ask the later judges too, to record where they disagree; the first decision holds."""
    model: JudgeModel | None = None
    """The only judge model: the short form of `models` with one."""
    models: dict[ModelName, JudgeModel] = {}
    """Judge models by name, each with its own budget, price and concurrency. Example: `{cheap: {..}, strong: {..}}`."""
    rubric_model: ModelName | None = None
    """Name of the model that the rubric judge asks; None: the only one."""
    panel: PanelSettings | None = None
    """Judge models that decide together, as the judge `panel` of a chain."""
    rubric: RubricSettings = RubricSettings()
    overlap: bool = False
    """Judge episodes while the rollout goes on, group by group as they are complete, so that a slow judge model does not
    wait for the last episode. The verdicts are the same; the judge stage asks for what is missing."""
    canary_alarm: Literal["stop", "warn"] = "stop"
    """When a judge calls a canary a success, a task that nobody can do: `stop` ends the run before it trains on this
    judge's verdicts, and a resume judges again; `warn` logs it and goes on. See `environment.canary_tasks`."""
    shuffle_rewards: bool = False
    """A control experiment: permute an iteration's rewards at random. A loop that still improves has a leak."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> "JudgeConfig":
        if self.model is not None and self.models:
            raise ValueError("model and models are both set; put the one into models, under a name")
        known = ", ".join(self.models) or "none"
        for name in [*([self.rubric_model] if self.rubric_model else []), *(self.panel.members if self.panel else [])]:
            if name not in self.named_models:
                raise ValueError(f"there is no judge model {name}; judge.models has {known}")
        served = [model.model for model in self.named_models.values()]
        if len(set(served)) < len(served):
            raise ValueError(
                f"models has the same model twice ({', '.join(served)}); one that votes twice agrees with itself"
            )
        for name in sorted({name for chain in (self.chain, *self.environments.values()) for name in chain}):
            if lack := self.lack_of(name):
                raise ValueError(f"a chain has the judge {name}, {lack}")
        return self

    def lack_of(self, judge: JudgeName) -> str:
        """The setting that a judge needs and the configuration lacks, as the end of a sentence; empty if it can be asked."""
        if judge == "rubric" and not self.named_models:
            return "which needs a model; set judge.model"
        if judge == "rubric" and self.rubric_name is None:
            return f"which asks one of the models {', '.join(self.models)}; name it in judge.rubric_model"
        if judge == "panel" and self.panel is None:
            return "which needs members; set judge.panel"
        return ""

    def chain_of(self, task: Task) -> tuple[JudgeName, ...]:
        """The judges of a task: its own, otherwise its environment's."""
        return task.judge or self.chain_in(task.environment)

    def chain_in(self, environment: str) -> tuple[JudgeName, ...]:
        """The judges of an environment's tasks that name none."""
        return tuple(self.environments.get(environment, self.chain))

    @property
    def named_models(self) -> dict[str, JudgeModel]:
        """The judge models by name; the only one is called `model`."""
        return {ONLY: self.model} if self.model is not None else dict(self.models)

    @property
    def rubric_name(self) -> str | None:
        """Name of the model that the rubric judge asks; None without a model, or with several and no choice."""
        names = list(self.named_models)
        return self.rubric_model or (names[0] if len(names) == 1 else None)

    @property
    def trajectories_at_once(self) -> int:
        """Trajectories that are judged at the same time: enough to keep every call of the models busy."""
        return 4 * sum(model.concurrency for model in self.named_models.values()) or 1
