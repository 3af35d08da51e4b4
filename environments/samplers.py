"""Which candidates an iteration gets: all alike, by a ratio, or by how well the policy does on them.

A sampler is a pure function of candidates in an order that was drawn before (`catalogs.py`), so that the same seed and the
same history always give the same tasks.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from environments.bands import Name, band_of, check_apart
from environments.history import SuccessRate

logger = logging.getLogger(__name__)

Weight = Annotated[float, Field(ge=0, le=1e6)]
Pool = Literal["new", "learning", "unsolved", "solved"]


class Candidate(NamedTuple):
    """Something to choose: a task of a file, or a family that makes as many as are wanted.

    Example: `Candidate(key="17", group="Travel", difficulty=3, host="www.imdb.com", room=1)`
    """

    key: str
    """What its history is kept under: task id, or family."""
    group: str
    """The value of the field that `ratio` sorts by."""
    difficulty: int
    host: str
    room: int
    """How many different tasks it can give at most."""
    place: int
    """Its position in the catalogue."""


class Config(BaseModel):
    """Base of the samplers' settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Uniform(Config):
    """All candidates alike; tasks of a file come again only when all have been played."""

    kind: Literal["uniform"] = "uniform"


class Ratio(Config):
    """So much of each. Example: `{kind: ratio, by: difficulty, weights: {1-3: 2, 4-6: 1, 7-: 1}}`."""

    kind: Literal["ratio"]
    by: str = "difficulty"
    """difficulty, domain, host, split, max_steps, or the name of a label."""
    weights: Annotated[dict[Name, Weight], Field(min_length=1)]
    """Weight by value; by bands where the field is the difficulty. What no value names is not played."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.by == "difficulty":
            check_apart(self.weights)
        if not sum(self.weights.values()):
            raise ValueError("At least one weight must be more than 0.")
        return self


class Pools(Config):
    """By measured success: mostly what the policy can do sometimes, for only there has a group of attempts a signal."""

    kind: Literal["pools"]
    low: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Success below this is `unsolved`."""
    high: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Success above this is `solved`; between the two is `learning`."""
    min_judged: Annotated[float, Field(gt=0)] = 4
    """Judged episodes, weighted by age, before a success rate is believed; until then a task is `new`."""
    half_life: Annotated[float, Field(gt=0)] | None = 10.0
    """Iterations after which an episode counts half; null: all count the same."""
    weights: dict[Pool, Weight] = {"learning": 6, "new": 3, "unsolved": 1, "solved": 0.5}
    """Shares of the four pools. What a pool lacks the others give."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, found {self.low:g} and {self.high:g}.")
        if not sum(self.weights.values()):
            raise ValueError("At least one weight must be more than 0.")
        return self


SamplerConfig = Annotated[Uniform | Ratio | Pools, Field(discriminator="kind")]


def choose(
    candidates: Sequence[Candidate], count: int, config: SamplerConfig, success: Mapping[str, SuccessRate]
) -> list[Candidate]:
    """`count` candidates; one with room for several may come several times.

    Raises:
        ValueError: if the candidates cannot give so many tasks.
    """
    match config:
        case Uniform():
            return in_turns(candidates, count)
        case Ratio():
            names = list(config.weights)
            buckets = _sorted_into(candidates, [_named(candidate, config, names) for candidate in candidates])
            return by_shares(buckets, config.weights, count)
        case Pools():
            buckets = _sorted_into(candidates, [pool_of(success.get(one.key), config) for one in candidates])
            return by_shares(buckets, {name: config.weights.get(name, 0.0) for name in buckets}, count)


def pool_of(rate: SuccessRate | None, config: Pools) -> Pool:
    """The pool of a task with this measured success. Example: 3 of 8 is `learning`."""
    if rate is None or rate.value is None or rate.judged < config.min_judged:
        return "new"
    if rate.value < config.low:
        return "unsolved"
    return "solved" if rate.value > config.high else "learning"


def in_turns(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Each once, then each once more, and so on, until there are `count`. Raises ValueError if there is no room for so many."""
    room = sum(candidate.room for candidate in candidates)
    if count > room:
        raise ValueError(f"Expected at most {room} tasks, for there are no more of them, found {count}.")
    chosen: list[Candidate] = []
    turn = 0
    while len(chosen) < count:
        chosen += [candidate for candidate in candidates if candidate.room > turn][: count - len(chosen)]
        turn += 1
    return chosen


def by_shares(buckets: Mapping[str, Sequence[Candidate]], weights: Mapping[str, float], count: int) -> list[Candidate]:
    """The shares of the buckets (largest remainders), mixed. A bucket that is too small gives what it has; the others the rest."""
    room = {name: sum(one.room for one in buckets.get(name, ())) for name, weight in weights.items() if weight > 0}
    if sum(room.values()) < count:
        there = ", ".join(f"{name}: {many}" for name, many in room.items())
        raise ValueError(
            f"Expected at most {sum(room.values())} tasks, for there are no more of them ({there}), found {count}."
        )
    taken = dict.fromkeys(room, 0)
    while missing := count - sum(taken.values()):
        open_ = {name: weights[name] for name in room if taken[name] < room[name]}
        for name, share in largest_remainders(open_, missing).items():
            taken[name] += min(share, room[name] - taken[name])
    parts = [in_turns(buckets.get(name, ()), many) for name, many in taken.items()]
    return [one for row in zip_longest(*parts) for one in row if one is not None]


def largest_remainders(weights: Mapping[str, float], count: int) -> dict[str, int]:
    """`count` seats dealt by weight, exactly. Example: weights 2, 1, 1 and 10 seats are 5, 3 and 2 seats."""
    total = sum(weights.values())
    exact = {name: count * weight / total for name, weight in weights.items()}
    seats = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(weights, key=lambda name: seats[name] - exact[name])
    for name in by_remainder[: count - sum(seats.values())]:
        seats[name] += 1
    return seats


def _named(candidate: Candidate, config: Ratio, names: list[str]) -> str | None:
    if config.by == "difficulty":
        return band_of(candidate.difficulty, names)
    return candidate.group


def _sorted_into(candidates: Sequence[Candidate], names: Sequence[str | None]) -> dict[str, list[Candidate]]:
    buckets: dict[str, list[Candidate]] = {}
    for candidate, name in zip(candidates, names, strict=True):
        if name is not None:
            buckets.setdefault(name, []).append(candidate)
    return buckets
