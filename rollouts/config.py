"""Sections `rollout` and `evaluate` of a loop's configuration: the episodes of an iteration and of an evaluation."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.limits import CallLimits, shares
from agent.model_config import ModelConfig

Weight = Annotated[float, Field(gt=0, le=1_000)]


class RolloutConfig(BaseModel):
    """Settings for collecting the trajectories of one iteration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    groups_per_iteration: Annotated[int, Field(ge=1)] = 16
    """Tasks per iteration."""
    group_size: Annotated[int, Field(ge=1)] = 4
    """Trajectories per task; they are compared with one another."""
    concurrency: Annotated[int, Field(ge=1)] = 8
    """Episodes at the same time, over all shards."""
    limits: CallLimits = CallLimits()
    """Concurrent calls, by kind and over all shards."""
    model_queue: Annotated[int, Field(ge=0)] | None = None
    """Turns that may wait in the model server (vLLM's own count); while more wait, no further episode begins."""
    in_flight_mb: Annotated[float, Field(gt=0)] | None = None
    """Megabytes of unfinished episodes' pictures in memory, over all shards; beyond that no further episode begins."""

    shards: Annotated[int, Field(ge=1, le=64)] = 2
    """Parts of a stage that Prefect sees; each is a subflow, and a rank where there are several machines."""
    rank_load_weight: list[Weight] | None = None
    """Each shard's share of the groups and of the concurrency, in the order of the shards; None: equal shares."""
    ranks: Literal["here", "workers"] = "here"
    """Processes that play the shards: the loop's own, or for each shard the pool's worker that takes it. Workers on
    other machines need the run folder under the same path, and reach browsers and vLLM by the addresses of the services.
    A worker's process stays beyond its stage while it has unfinished episodes."""

    stragglers: Literal["carry_over", "kill"] = "carry_over"
    """Treatment of groups that are unfinished when `completion_threshold` is reached: they go on and belong to the next
    iteration; or they are stopped after `completion_grace_period`, stored as failed and neither judged nor trained on."""
    completion_threshold: Annotated[float, Field(gt=0, le=1)] = 0.98
    """Share of an iteration's groups that must be complete for the stage to end. The last iteration waits for all
    groups that it would carry over."""
    completion_grace_period: Annotated[float, Field(ge=0)] = 120.0
    """Seconds that `kill` leaves to the remaining episodes."""
    ahead: Annotated[int, Field(ge=0)] = 0
    """Groups beyond the iteration's own that are begun when no other is left to begin, so that no slot idles while the
    last episodes are played; the unfinished ones are carried over. A good value: as many as fill the slots."""
    overlap: Literal["sync", "one_step", "async"] = "sync"
    """`sync`: an iteration's groups are begun when the update before is published. `one_step`: they are begun as soon as
    the rollout before ends, and played while its trajectories are judged and learned from; no sample is more than one
    version old. `async`: as that, and groups of further iterations are begun, as far as `max_lag` allows."""
    max_lag: Annotated[int, Field(ge=1, le=16)] = 2
    """Versions that a sample of `overlap: async` may be older than the policy that it trains; `rollouts/pace.py`."""
    replace_zero_signal: Annotated[int, Field(ge=0)] = 0
    """Groups that are played to replace those whose members all got the same reward, at most so many per iteration
    (dynamic sampling, DAPO, arXiv 2503.14476). Needs an environment that judges by itself."""

    reuse_contexts: bool = False
    """Let episodes of the environment reuse one another's cleaned browser contexts, which saves most of the time of a
    short episode. Only for sites that trust one another; without it every episode has a context of its own."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Attempts at an episode that the infrastructure broke, before it is stored as failed."""
    site_attempts: Annotated[int, Field(ge=1, le=20)] = 2
    """Attempts at an episode that its site broke. A failure of the agent is the result, and is never retried."""
    max_rounds: Annotated[int, Field(ge=1, le=20)] = 4
    """Rounds of a stage: it heals the services and continues after each loss of a whole service."""

    min_valid_groups: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of a stage's groups, in rollouts and evaluations, that must have episodes which are evidence about the
    policy (two that can be compared), and verdicts where the environment gives any. A stage with fewer is no result."""
    outage_s: Annotated[float, Field(ge=0)] = 900.0
    """Seconds for which such a stage replays broken episodes, with pauses, before it fails; a resume replays them."""

    @model_validator(mode="after")
    def _fits(self) -> "RolloutConfig":
        weights = self.rank_load_weight
        if weights is not None and len(weights) != self.shards:
            raise ValueError(f"rank_load_weight has {len(weights)} numbers, but there are shards={self.shards}")
        if self.shards > self.concurrency:
            raise ValueError(
                f"shards={self.shards} play at least one episode each, but concurrency={self.concurrency}; "
                f"raise the concurrency or lower the shards"
            )
        short = next((kind for kind, limit in self.limits.given().items() if limit < self.shards), None)
        if self.ranks == "workers" and short:
            raise ValueError(
                f"limits.{short}={self.limits.given()[short]} leaves nothing to some of the shards={self.shards}, which are "
                f"processes of their own with ranks=workers; raise the limit or lower the shards"
            )
        if self.ahead and self.stragglers == "kill":
            raise ValueError(
                "ahead begins groups that are carried over, which stragglers=kill does not do; set ahead=0"
            )
        if self.lag and (self.stragglers == "kill" or self.ahead):
            raise ValueError(
                f"overlap={self.overlap} begins groups while the update runs and paces them itself; it needs "
                "stragglers=carry_over and ahead=0"
            )
        return self

    @property
    def lag(self) -> int:
        """Versions that a sample may be older than the policy that it trains; 0: rollouts do not overlap with updates."""
        return {"sync": 0, "one_step": 1, "async": self.max_lag}[self.overlap]

    def weights(self) -> list[float]:
        """The share of each shard; they sum to 1."""
        weights = self.rank_load_weight or [1.0] * self.shards
        return [weight / sum(weights) for weight in weights]

    def slots_of(self, shard: int) -> int:
        """Episodes that a shard plays at the same time: its share of the concurrency, at least one."""
        return shares(self.concurrency, self.weights())[shard]

    def limits_of(self, shard: int) -> CallLimits:
        """The limits in the process of a shard: all of them, which its ranks share, or the worker's part."""
        return self.limits if self.ranks == "here" else self.limits.part(self.weights(), shard)

    def in_flight_mb_of(self, shard: int) -> float | None:
        """The memory limit for pictures in the process of a shard: all of it, or the worker's part."""
        if self.in_flight_mb is None or self.ranks == "here":
            return self.in_flight_mb
        return self.in_flight_mb * self.weights()[shard]


class EvaluateConfig(BaseModel):
    """Measurement of the policy on held-out tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    every: Annotated[int, Field(ge=1)] = 5
    """Iterations between two evaluations; the first policy and the last iteration are always evaluated."""
    tasks: Annotated[int, Field(ge=1)] = 32
    samples: Annotated[int, Field(ge=1)] = 1
    """Trajectories per task."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed that chooses the held-out tasks; the same tasks at each evaluation."""
    model: ModelConfig | None = None
    """The model that acts in an evaluation; None: the one in `agent.model`."""
