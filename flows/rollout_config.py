"""Section `rollout` of a loop's configuration: how the trajectories of one iteration are collected."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from agent.limits import CallLimits, shares
from flows.section import Section

Weight = Annotated[float, Field(gt=0, le=1_000)]


class RolloutConfig(Section):
    """How the trajectories of one iteration are collected."""

    groups_per_iteration: Annotated[int, Field(ge=1)] = 16
    """Tasks per iteration."""
    group_size: Annotated[int, Field(ge=1)] = 4
    """Trajectories per task; they are compared with one another."""
    concurrency: Annotated[int, Field(ge=1)] = 8
    """Episodes at the same time, over all shards."""
    limits: CallLimits = CallLimits()
    """Calls at the same time, by kind and over all shards."""
    model_queue: Annotated[int, Field(ge=0)] | None = None
    """Turns that may wait in the model server (vLLM's own count); while there are more, no further episode is begun."""
    in_flight_mb: Annotated[float, Field(gt=0)] | None = None
    """Pictures of unfinished episodes that are held in memory, over all shards; beyond that no further episode is begun."""

    shards: Annotated[int, Field(ge=1, le=64)] = 2
    """Parts of a stage that Prefect sees; each is a subflow, and a rank where there are several machines."""
    rank_load_weight: list[Weight] | None = None
    """A shard's share of the groups and of the concurrency, in the order of the shards; None: all the same."""
    ranks: Literal["here", "workers"] = "here"
    """Where shards are played: in the loop's own process, or each by whichever worker of the pool takes it up. Workers on
    other machines need the run folder under the same path, and reach browsers and vLLM by the addresses of the services."""

    stragglers: Literal["carry_over", "kill"] = "carry_over"
    """What becomes of groups that are unfinished when `completion_threshold` is reached: they go on, and belong to the next
    iteration; or they are stopped after `completion_grace_period`, stored as failed and neither judged nor trained on."""
    completion_threshold: Annotated[float, Field(gt=0, le=1)] = 0.98
    """Share of an iteration's groups whose end ends the stage. The last iteration waits for all that it would carry over, and
    so does each with `ranks: workers`."""
    completion_grace_period: Annotated[float, Field(ge=0)] = 120.0
    """Seconds that `kill` leaves to the rest."""
    ahead: Annotated[int, Field(ge=0)] = 0
    """Groups beyond the iteration's own that are begun when nothing else is left to begin, so that no slot idles while the
    last episodes are played; what is unfinished of them is carried over. Good: as many as fill the slots."""
    replace_zero_signal: Annotated[int, Field(ge=0)] = 0
    """Groups that are played in the place of those whose members all got the same reward, at most so many per iteration
    (dynamic sampling, DAPO, arXiv 2503.14476). Needs an environment that judges by itself."""

    reuse_contexts: bool = False
    """Let episodes of the environment take over one another's cleaned browser contexts, which saves most of the time of a
    short episode. Only for sites that trust one another; without it every episode has a context of its own."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Tries of one episode that the infrastructure broke, before it is written down as failed."""
    site_attempts: Annotated[int, Field(ge=1, le=20)] = 2
    """Tries of one episode that its site broke. What the agent broke is its result, and never tried again."""
    max_rounds: Annotated[int, Field(ge=1, le=20)] = 4
    """Times that a stage heals the services and goes on after a whole service was lost."""

    min_valid_groups: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of a stage's groups, in rollouts and evaluations, that must have episodes which say something about the policy (two
    that can be compared), and verdicts where the environment gives any. A stage with fewer is no result."""
    outage_s: Annotated[float, Field(ge=0)] = 900.0
    """Seconds that such a stage waits and plays its broken episodes again before it fails; a resume then plays them again."""

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
        return self

    def weights(self) -> list[float]:
        """The share of each shard, of a sum of 1."""
        weights = self.rank_load_weight or [1.0] * self.shards
        return [weight / sum(weights) for weight in weights]

    def slots_of(self, shard: int) -> int:
        """Episodes that a shard plays at the same time: its share of the concurrency, at least one."""
        return shares(self.concurrency, self.weights())[shard]

    def limits_of(self, shard: int) -> CallLimits:
        """The limits that hold in the process of a shard: all of them, which its ranks share, or a worker's part."""
        return self.limits if self.ranks == "here" else self.limits.part(self.weights(), shard)

    def in_flight_mb_of(self, shard: int) -> float | None:
        """The room for pictures in the process of a shard, in the same way."""
        if self.in_flight_mb is None or self.ranks == "here":
            return self.in_flight_mb
        return self.in_flight_mb * self.weights()[shard]
