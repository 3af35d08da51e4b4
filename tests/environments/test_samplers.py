"""Samplers as pure functions: exact shares, no task twice, the same for the same seed, and what is blocked is left out."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.types import Task
from environments.bands import Band, band_of, check_apart, parse_band
from environments.history import Outcome, SuccessRate, TaskHistory
from environments.horizons import HorizonConfig, with_horizon
from environments.hosts import BlockingConfig, HostBreaker, breaker_from
from environments.samplers import Candidate, Pools, Ratio, Uniform, by_shares, choose, largest_remainders, pool_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def candidates(*numbers: int, room: int = 1) -> list[Candidate]:
    """So many candidates of difficulty 1, of difficulty 2, .."""
    return [
        Candidate(f"d{difficulty}.{number}", f"g{difficulty}", difficulty, "", room, place=number)
        for difficulty, many in enumerate(numbers, 1)
        for number in range(many)
    ]


weights = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=1)


@settings(deadline=None, max_examples=40)
@given(weights, st.integers(0, 1_000))
def test_largest_remainders_deal_every_seat_within_one_of_the_exact_share(shares: dict[str, float], count: int) -> None:
    seats = largest_remainders(shares, count)
    assert sum(seats.values()) == count
    assert all(abs(seats[name] - count * weight / sum(shares.values())) < 1 + 1e-6 for name, weight in shares.items())


def test_largest_remainders_by_hand() -> None:
    assert largest_remainders({"a": 2, "b": 1, "c": 1}, 10) == {"a": 5, "b": 3, "c": 2}


@settings(deadline=None, max_examples=40)
@given(weights, st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 30)), st.data())
def test_shares_give_exactly_what_was_asked_and_nothing_twice(
    shares: dict[str, float], sizes: dict[str, int], data: st.DataObject
) -> None:
    buckets = {name: [Candidate(f"{name}{n}", name, 1, "", 1, n) for n in range(size)] for name, size in sizes.items()}
    room = sum(size for name, size in sizes.items() if name in shares)
    chosen = by_shares(buckets, shares, count := data.draw(st.integers(0, room)))
    assert len(chosen) == len({one.key for one in chosen}) == count
    with pytest.raises(ValueError, match=f"at most {room} tasks"):
        by_shares(buckets, shares, room + 1)


def test_a_ratio_by_bands_of_difficulty() -> None:
    config = Ratio(kind="ratio", weights={"1-2": 3, "3-": 1})
    chosen = choose(candidates(20, 20, 20, 20), 8, config, {})
    assert Counter(one.difficulty <= 2 for one in chosen) == {True: 6, False: 2}


def test_a_ratio_by_any_field_leaves_out_what_is_not_named() -> None:
    config = Ratio(kind="ratio", by="subdomain", weights={"g1": 1, "g3": 1})
    assert Counter(one.group for one in choose(candidates(9, 9, 9), 10, config, {})) == {"g1": 5, "g3": 5}


def test_a_family_comes_as_often_as_it_has_room() -> None:
    assert Counter(one.key for one in choose(candidates(2, room=3), 5, Uniform(), {})) == {"d1.0": 3, "d1.1": 2}
    with pytest.raises(ValueError, match="at most 6 tasks"):
        choose(candidates(2, room=3), 7, Uniform(), {})


@pytest.mark.parametrize(
    ("successes", "judged", "pool"),
    [(0, 0, "new"), (1, 3, "new"), (0, 8, "unsolved"), (1, 10, "learning"), (9, 10, "learning"), (10, 10, "solved")],
)
def test_pools_by_measured_success(successes: int, judged: int, pool: str) -> None:
    assert pool_of(SuccessRate(successes=successes, judged=judged), Pools(kind="pools")) == pool
    assert pool_of(None, Pools(kind="pools")) == "new"


def test_pools_prefer_what_succeeds_sometimes() -> None:
    everything = candidates(20, 20, 20, 20)
    rates = {1: 0, 2: 5, 3: 10}  # difficulty 1 never, 2 sometimes, 3 always, 4 was never tried
    success = {
        one.key: SuccessRate(successes=rates[one.difficulty], judged=10) for one in everything if one.difficulty < 4
    }
    chosen = choose(everything, 21, Pools(kind="pools"), success)
    assert Counter(one.difficulty for one in chosen) == {1: 2, 2: 12, 3: 1, 4: 6}
    # When nothing is left to learn, the rest is played and no stage fails.
    assert len(choose(everything, 80, Pools(kind="pools"), success)) == 80


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "ratio", "weights": {}},
        {"kind": "ratio", "weights": {"1-3": 0}},
        {"kind": "ratio", "weights": {"1-3": 1, "3-5": 1}},
        {"kind": "ratio", "weights": {"easy": 1}},
        {"kind": "ratio", "by": "domain", "weights": {"a": float("nan")}},
    ],
)
def test_ratios_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Ratio.model_validate(wrong)


def test_pools_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="low must not be above high"):
        Pools(kind="pools", low=0.9, high=0.1)
    with pytest.raises(ValidationError, match="At least one weight"):
        Pools(kind="pools", weights={"new": 0})


def test_bands() -> None:
    assert (parse_band("1-3"), parse_band("7-"), parse_band("5")) == (Band(1, 3), Band(7, None), Band(5, 5))
    assert [band_of(number, ["1-3", "7-"]) for number in (0, 1, 3, 4, 7, 99)] == [None, "1-3", "1-3", None, "7-", "7-"]
    for wrong in ("", "easy", "-3", "3-1", "1-2-3", "1 3"):
        with pytest.raises(ValueError, match="Expected a"):
            parse_band(wrong)
    with pytest.raises(ValueError, match="7- and 9 overlap"):
        check_apart(["9", "7-"])


def test_success_fades_with_age() -> None:
    old = Outcome(task="a", family="f", iteration=1, attempts=8, judged=8, successes=8)
    new = Outcome(task="a", family="f", iteration=11, attempts=4, judged=4, successes=0)
    history = TaskHistory([old, new])
    assert history.success_rates(iteration=11, half_life=10, by_family=False)["a"] == SuccessRate(successes=4, judged=8)
    assert history.success_rates(iteration=11, half_life=None, by_family=True)["f"].value == 8 / 12


TASK = Task(id="a", environment="live", max_steps=15, difficulty=5)
HORIZON = HorizonConfig(
    by_difficulty={"1-3": 10, "4-6": 20}, heldout_by_difficulty={"4-6": 50}, curriculum={2: 12, 5: 30}
)


@pytest.mark.parametrize(
    ("task", "iteration", "steps"),
    [
        (TASK, 1, 20),
        (TASK, 2, 12),
        (TASK, 9, 20),
        (TASK.model_copy(update={"difficulty": 9}), 9, 15),
        (TASK.model_copy(update={"split": "heldout"}), 2, 50),
    ],
)
def test_horizons(task: Task, iteration: int, steps: int) -> None:
    assert with_horizon(task, HORIZON, iteration=iteration).max_steps == steps
    assert with_horizon(task, HorizonConfig(), iteration=iteration) is task


def test_a_breaker_opens_expires_and_closes() -> None:
    breaker = HostBreaker(BlockingConfig(open_after=3, expires_h=12))

    def at(hours: float) -> datetime:
        return NOON + timedelta(hours=hours)

    breaker.record("a.example", good=0, bad=2, at=NOON)
    assert not breaker.is_open("a.example", now=NOON)
    breaker.record("a.example", good=0, bad=1, at=at(1))
    assert breaker.is_open("a.example", now=at(12.9)) and not breaker.is_open("b.example", now=at(2))
    assert not breaker.is_open("a.example", now=at(13))
    breaker.record("a.example", good=0, bad=1, at=at(14))
    assert breaker.is_open("a.example", now=at(15))
    breaker.record("a.example", good=1, bad=7, at=at(27))
    breaker.record("a.example", good=0, bad=2, at=at(28))
    assert not breaker.is_open("a.example", now=at(28))


def test_a_listed_host_is_left_alone_for_ever_with_its_subdomains() -> None:
    breaker = breaker_from([], BlockingConfig(hosts=("example.com",), open_after=0))
    breaker.record("x.org", good=0, bad=99, at=NOON)
    open_hosts = [
        host
        for host in ("example.com", "www.example.com", "badexample.com", "x.org")
        if breaker.is_open(host, now=NOON)
    ]
    assert open_hosts == ["example.com", "www.example.com"]
    with pytest.raises(ValidationError):
        BlockingConfig(hosts=("https://example.com/",))


def test_a_breaker_follows_the_history() -> None:
    bad = Outcome(
        task="1",
        host="a.example",
        iteration=1,
        attempts=4,
        judged=0,
        successes=0,
        blocked=3,
        site_failures=1,
        at=NOON.isoformat(),
    )
    broken_by_us = bad.model_copy(update={"iteration": 2, "blocked": 0, "site_failures": 0})
    good = broken_by_us.model_copy(update={"iteration": 3, "well": 1})
    assert breaker_from([bad], BlockingConfig()).is_open("a.example", now=NOON)
    assert breaker_from([bad, broken_by_us], BlockingConfig()).is_open("a.example", now=NOON), (
        "that says nothing of a site"
    )
    assert not breaker_from([bad, broken_by_us, good], BlockingConfig()).is_open("a.example", now=NOON)
