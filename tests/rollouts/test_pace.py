"""Rollouts that go on while the update runs: no sample is too old, no group is lost, and the time is used."""

from bisect import bisect_right
from collections import Counter
from typing import Any

import pytest
from game import ITERATIONS, Game, play_iterations, running_game, stored, use
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.types import Task
from benchmarks import virtual_clock
from rollouts.config import RolloutConfig
from rollouts.measures.intervals import Interval, common_s, united
from rollouts.pace import Pace, is_too_old, pace_of, share_to_wait_for, staying, surplus
from rollouts.plan import Group, planned_groups
from storage.stages import Stage

SHAPES = st.fixed_dictionaries(
    {
        "groups_per_iteration": st.integers(1, 7),
        "group_size": st.integers(1, 4),
        "concurrency": st.integers(3, 9),
        "shards": st.integers(1, 3),
        "completion_threshold": st.sampled_from([0.3, 0.9, 1.0]),
        "overlap": st.sampled_from(["one_step", "async"]),
        "max_lag": st.integers(1, 3),
        "replace_zero_signal": st.integers(0, 2),
        "ranks": st.sampled_from(["here", "workers"]),
    }
)


@pytest.fixture(autouse=True)
def no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of runs: what is on the disk need not survive a power cut."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=SHAPES, seed=st.integers(0, 10_000), update_s=st.sampled_from([0.0, 5.0, 60.0]))
def test_no_sample_is_too_old_and_each_group_is_learned_from_once(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any], seed: int, update_s: float
) -> None:
    game = Game(seed)
    use(monkeypatch, game.play)
    with running_game(**shape) as folder:
        updated = virtual_clock.run(play_iterations(folder, update_s=update_s))
        kept, lag = stored(folder), folder.config.rollout.lag
        planned = {
            name
            for one in kept
            for group in planned_groups(folder.inputs, one, Stage.ROLLOUT)
            for name in group.names()
        }
    began = {name: at for at, name in game.begun}
    for iteration, trajectories in kept.items():
        oldest = min(bisect_right(updated, began[one.id]) for one in trajectories)
        assert iteration - 1 - oldest <= lag, "a sample is older than the run allows"
        assert set(Counter(one.group for one in trajectories).values()) == {shape["group_size"]}, "groups are whole"
    names = Counter(one.id for trajectories in kept.values() for one in trajectories)
    assert max(names.values()) == 1 and set(names) == planned, "each planned episode is stored exactly once"
    assert len(game.begun) == len(planned) and game.most <= shape["concurrency"]
    usual = shape["groups_per_iteration"] + shape["replace_zero_signal"] + shape["shards"]
    assert max(len({one.group for one in trajectories}) for trajectories in kept.values()) <= usual + (
        shape["shards"] * (lag + 1)
    ), "iterations stay about equally large"


@pytest.mark.parametrize("seed", [1])
def test_an_overlapped_run_takes_as_long_as_the_longer_of_rollout_and_update(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    shape = {"groups_per_iteration": 8, "group_size": 4, "concurrency": 8}
    took = {}
    for overlap, update_s in (("sync", 0.001), ("sync", 12.0), ("one_step", 12.0), ("async", 12.0)):
        use(monkeypatch, Game(seed, tail=2.5).play)
        with running_game(**shape, overlap=overlap) as folder:
            took[overlap, update_s] = virtual_clock.run(play_iterations(folder, update_s=update_s))[-1]
    rollout, sync = took["sync", 0.001], took["sync", 12.0]
    # The first rollout and the last update have nothing beside them.
    bound = max(rollout, ITERATIONS * 12.0) + 12.0
    assert took["one_step", 12.0] <= 1.2 * bound < sync
    assert took["async", 12.0] <= 1.2 * bound


def groups(count: int, **fields: Any) -> list[Group]:
    return [
        Group(group=f"g{number}", members=2, task=Task(id=f"t{number}", environment="x", domain="d"), **fields)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("overlap", "early", "planned", "iteration", "ahead"),
    [
        ("sync", False, 4, 5, 0),
        ("one_step", True, 4, 5, 0),
        ("one_step", False, 4, 5, 4),
        ("async", True, 4, 5, 4),
        ("async", False, 4, 5, 8),
        ("async", False, 7, 5, 5),
        ("async", False, 4, 9, 4),
        ("async", False, 4, 10, 0),
    ],
)
def test_the_groups_that_may_be_begun(overlap: str, early: bool, planned: int, iteration: int, ahead: int) -> None:
    config = RolloutConfig.model_validate({"groups_per_iteration": 4, "overlap": overlap})
    pace = pace_of(config, groups(planned), iteration=iteration, last=10, is_early=early)
    assert pace.ahead == ahead
    assert (pace.lag, pace.ends) == ((config.lag or None), not (early and config.lag))


def test_what_an_iteration_leaves_to_the_next() -> None:
    config = RolloutConfig(groups_per_iteration=2, overlap="async", max_lag=2)
    planned = [*groups(4), groups(5)[4].model_copy(update={"extra": "ahead"})]
    complete = [group.group for group in planned if group.group != "g1"]
    young = dict.fromkeys(complete, 4)
    assert [one.group for one in surplus(config, planned, complete, young, iteration=5)] == ["g3", "g4"]
    assert [one.group for one in surplus(config, planned, complete, young | {"g3": 2}, iteration=5)] == ["g4"]
    assert [one.group for one in staying(config, planned)] == ["g0", "g1"]
    assert share_to_wait_for(config, planned) == 0.5
    sync = RolloutConfig(groups_per_iteration=2)
    assert surplus(sync, planned, complete, young, iteration=5) == [] and staying(sync, planned) == planned
    assert share_to_wait_for(sync, planned) == 1.0
    assert [is_too_old(updates, iteration=5, lag=2) for updates in (2, 3, 4)] == [True, False, False]
    assert Pace() == Pace(ahead=0, lag=None, updates=0, ends=True)


@pytest.mark.parametrize("other", [{"stragglers": "kill"}, {"ahead": 2}])
def test_what_does_not_go_together_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"overlap=one_step .* stragglers=carry_over and ahead=0"):
        RolloutConfig(overlap="one_step", **other)


def test_spans_and_what_two_of_them_share() -> None:
    spans = united(Interval(trajectory_id="x", began=a, ended=b) for a, b in [(8, 9), (1, 3), (2, 5)])
    assert spans == [(1, 5), (8, 9)]
    assert common_s(spans, [(4, 8.5)]) == 1.5 and common_s(spans, []) == 0
