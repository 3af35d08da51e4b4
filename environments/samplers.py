"""Selects candidates for an iteration: uniformly, by a ratio, or by the policy's measured success.

A sampler is a pure function of candidates in an order that was drawn before (`catalogs.py`), so that the same seed and the
same history always give the same tasks.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from environments.bands import Name, band_of, check_apart
from environments.curriculum import ByProgress, Target, progress_weight, target_weight
from environments.history import Progress, SuccessRate

logger = logging.getLogger(__name__)

Weight = Annotated[float, Field(ge=0, le=1e6)]
Pool = Literal["new", "learning", "unsolved", "solved"]


class Candidate(NamedTuple):
    """A candidate: a task of a file, or a family that makes any number of tasks.

    Example: `Candidate(key="17", group="Travel", difficulty=3, host="www.imdb.com", room=1)`
    """

    key: str
    """Key of its history: task id, or family."""
    group: str
    """Value of the field that `ratio` groups by."""
    difficulty: int
    host: str
    room: int
    """Largest number of different tasks that it can give."""
    place: int
    """Its position in the catalogue."""


class Config(BaseModel):
    """Base of the samplers' settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Uniform(Config):
    """All candidates equally; tasks of a file repeat only when all have been played."""

    kind: Literal["uniform"] = "uniform"


class Ratio(Config):
    """Fixed proportions. Example: `{kind: ratio, by: difficulty, weights: {1-3: 2, 4-6: 1, 7-: 1}}`."""

    kind: Literal["ratio"]
    by: str = "difficulty"
    """Field: difficulty, domain, host, split, max_steps, or the name of a label."""
    weights: Annotated[dict[Name, Weight], Field(min_length=1)]
    """Weight by value; by band for the difficulty. Tasks with other values are not played."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.by == "difficulty":
            check_apart(self.weights)
        if not sum(self.weights.values()):
            raise ValueError("At least one weight must be more than 0.")
        return self


class Pools(Config):
    """By measured success: mostly tasks with partial success, because only there a group of attempts has a signal."""

    kind: Literal["pools"]
    low: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Success below this is `unsolved`."""
    high: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Success above this is `solved`; between the two is `learning`."""
    min_judged: Annotated[float, Field(gt=0)] = 4
    """Judged episodes, weighted by age, before a success rate is used; until then a task is `new`."""
    half_life: Annotated[float, Field(gt=0)] | None = 10.0
    """Iterations after which an episode counts half; null: all count equally."""
    weights: dict[Pool, Weight] = {"learning": 6, "new": 3, "unsolved": 1, "solved": 0.5}
    """Shares of the four pools. If a pool is too small, the others fill its share."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, found {self.low:g} and {self.high:g}.")
        if not sum(self.weights.values()):
            raise ValueError("At least one weight must be more than 0.")
        return self


SamplerConfig = Annotated[Uniform | Ratio | Pools | Target | ByProgress, Field(discriminator="kind")]


def choose(
    candidates: Sequence[Candidate],
    count: int,
    config: SamplerConfig,
    success: Mapping[str, SuccessRate],
    progress: Mapping[str, Progress] | None = None,
) -> list[Candidate]:
    """Chooses `count` candidates; one with room for several tasks may be chosen several times. `success` and `progress`
    are by the candidates' keys; `progress` is for the sampler `progress` alone.

    Raises:
        ValueError: if the candidates have too few tasks.
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
        case Target():
            weights = {one.key: target_weight(success.get(one.key), config) for one in candidates}
            return by_weight(candidates, weights, count, new=config.new)
        case ByProgress():
            weights = {one.key: progress_weight((progress or {}).get(one.key), config) for one in candidates}
            return by_weight(candidates, weights, count, new=config.new)


def pool_of(rate: SuccessRate | None, config: Pools) -> Pool:
    """Returns the pool of a task with this measured success. Example: 3 of 8 is `learning`."""
    if rate is None or rate.value is None or rate.judged < config.min_judged:
        return "new"
    if rate.value < config.low:
        return "unsolved"
    return "solved" if rate.value > config.high else "learning"


def in_turns(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Takes each candidate once, then again, and so on, until there are `count`. Raises ValueError for too few."""
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
    """Fills the buckets' shares (largest remainders), interleaved. If one is too small, the others fill the rest."""
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


def by_weight(
    candidates: Sequence[Candidate], weights: Mapping[str, float | None], count: int, *, new: float
) -> list[Candidate]:
    """Measured candidates in proportion to their weights, and a share `new` of those without one, interleaved.

    Where more candidates have a weight than are wanted, the heaviest are chosen, and the first of equal ones. If either
    kind is too small, the other fills the rest. Raises ValueError for too few.
    """
    measured = {one.key: weight for one in candidates if (weight := weights[one.key]) is not None}
    buckets = _sorted_into(candidates, ["measured" if one.key in measured else "new" for one in candidates])
    room = {name: sum(one.room for one in some) for name, some in buckets.items()}
    if count > sum(room.values()):
        return in_turns(candidates, count)  # raises
    fresh = min(room.get("new", 0), max(round(new * count), count - room.get("measured", 0)))
    single = {one.key: [one] for one in buckets.get("measured", ())}
    known = by_shares(single, measured, count - fresh) if count > fresh else []
    pairs = zip_longest(known, in_turns(buckets.get("new", ()), fresh))
    return [one for pair in pairs for one in pair if one is not None]


def largest_remainders(weights: Mapping[str, float], count: int) -> dict[str, int]:
    """Divides `count` by weight, exactly. Example: weights 2, 1, 1 and a count of 10 give 5, 3 and 2."""
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
