"""The scheduler on a virtual clock: whatever episodes take, slots are used, nothing starves, nothing is played twice or lost."""

from collections import Counter
from typing import Any

import pytest
from game import (
    ITERATIONS,
    Game,
    configured,
    failures,
    files_of,
    play_iterations,
    rank_for,
    running_game,
    stored,
    use,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import virtual_clock
from flows.settings.run_folder import RunFolder
from rollouts.plan import assigned, planned_groups, read_carried
from storage.stages import Stage

SHAPES = st.fixed_dictionaries(
    {
        "groups_per_iteration": st.integers(1, 7),
        "group_size": st.integers(1, 4),
        "concurrency": st.integers(1, 9),
        "shards": st.integers(1, 3),
        "completion_threshold": st.sampled_from([0.3, 0.5, 0.9, 1.0]),
        "ahead": st.integers(0, 3),
        "replace_zero_signal": st.integers(0, 2),
        "limits": st.fixed_dictionaries({"model": st.sampled_from([None, 1, 2, 5])}),
        "in_flight_mb": st.sampled_from([None, 1.5, 6.0]),
    }
).filter(lambda shape: shape["shards"] <= shape["concurrency"])
ALONE = {"shards": 1, "limits": {}, "in_flight_mb": None}


@pytest.fixture(autouse=True)
def no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of runs: what is on the disk need not survive a power cut."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


def check_bounds(game: Game, shape: dict[str, Any]) -> None:
    """Checks that no more runs than is allowed, for any number of shards."""
    assert game.most <= shape["concurrency"]
    assert game.most_asking <= (shape["limits"]["model"] or shape["concurrency"])
    assert all(held < (shape["in_flight_mb"] or float("inf")) for held in game.held_mb)
    assert game.running == game.asking == 0


def check_costs(game: Game, folder: RunFolder) -> None:
    """Checks that each attempt is either a whole trajectory or one line of failures.jsonl."""
    whole = sum(one.failure is None for trajectories in stored(folder).values() for one in trajectories)
    noted = [failed for iteration in range(1, ITERATIONS + 1) for failed in failures(folder, iteration)]
    assert len(game.begun) == whole + len(noted)
    assert max(Counter((failed.trajectory_id, failed.attempt) for failed in noted).values(), default=1) == 1


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=SHAPES, seed=st.integers(0, 10_000), breaks=st.sampled_from([0.0, 0.2]))
def test_carried_over_nothing_is_lost_played_twice_or_learned_from_in_part(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any], seed: int, breaks: float
) -> None:
    game = Game(seed, breaks=breaks)
    use(monkeypatch, game.play)
    with running_game(**shape) as folder:
        virtual_clock.run(play_iterations(folder))
        kept = stored(folder)
        planned = {
            name
            for one in kept
            for group in planned_groups(folder.inputs, one, Stage.ROLLOUT)
            for name in group.names()
        }
        names = Counter(trajectory.id for trajectories in kept.values() for trajectory in trajectories)
        assert max(names.values()) == 1 and set(names) == planned, "each planned episode is stored exactly once"
        for iteration, trajectories in kept.items():
            members = Counter(trajectory.group for trajectory in trajectories)
            assert set(members.values()) == {shape["group_size"]}, "groups are whole"
            assert len(members) >= shape["completion_threshold"] * (
                shape["groups_per_iteration"] - len(carried_in(folder, iteration))
            )
        check_bounds(game, shape)
        check_costs(game, folder)
        if not breaks:
            assert len(game.begun) == len(planned), "no episode was begun twice"


def carried_in(folder: RunFolder, iteration: int) -> list[str]:
    return [group.group for group in read_carried(folder, iteration - 1)]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=SHAPES, seed=st.integers(0, 10_000))
def test_no_slot_idles_while_an_episode_waits_and_none_starves(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any], seed: int
) -> None:
    game = Game(seed)
    use(monkeypatch, game.play)
    with running_game(**shape | ALONE | {"completion_threshold": 1.0, "ahead": 0, "replace_zero_signal": 0}) as folder:
        virtual_clock.run(play_iterations(folder))
        plans = {one: planned_groups(folder.inputs, one, Stage.ROLLOUT) for one in range(1, ITERATIONS + 1)}
    order = [name for _, name in game.begun]
    for iteration, groups in plans.items():
        mine = [name for name in order if name.startswith(f"i{iteration:04d}")]
        assert mine == [name for group in groups for name in group.names()], "they begin in the order of the plan"
        began = {name: at for at, name in game.begun if name in mine}
        ends = sorted(at for at, name in game.ended if name in mine)
        free = [*[min(began.values())] * shape["concurrency"], *ends]
        # Each at the very moment at which a slot became free.
        for place, name in enumerate(mine):
            assert began[name] == pytest.approx(free[place])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shape=SHAPES,
    seed=st.integers(0, 10_000),
    breaks=st.sampled_from([0.0, 0.4]),
    grace=st.sampled_from([0.0, 2.0, 30.0]),
)
def test_killed_stragglers_are_stored_as_failed_and_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any], seed: int, breaks: float, grace: float
) -> None:
    game = Game(seed, breaks=breaks, tail=0.4)
    use(monkeypatch, game.play)
    killing = {"stragglers": "kill", "completion_grace_period": grace, "ahead": 0}
    with running_game(**shape | killing) as folder:
        virtual_clock.run(play_iterations(folder))
        for iteration, trajectories in stored(folder).items():
            groups = planned_groups(folder.inputs, iteration, Stage.ROLLOUT)
            assert [one.id for one in trajectories] == sorted(name for group in groups for name in group.names())
            killed = {one.group for one in trajectories if one.failure and one.failure.code == "STRAGGLER"}
            assert len(groups) - len(killed) >= shape["completion_threshold"] * shape["groups_per_iteration"]
        check_bounds(game, shape)
        check_costs(game, folder)


def test_some_stragglers_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    game = Game(3, tail=0.4)
    use(monkeypatch, game.play)
    shape = {"groups_per_iteration": 8, "group_size": 2, "concurrency": 4, "completion_threshold": 0.5}
    with configured(**shape, stragglers="kill", completion_grace_period=2.0) as config:
        folder = RunFolder.create("game", config)
        virtual_clock.run(play_iterations(folder))
        kept = stored(folder)
    assert all(len(trajectories) == 16 for trajectories in kept.values())
    codes = Counter(one.failure.code if one.failure else "" for trajectories in kept.values() for one in trajectories)
    assert codes["STRAGGLER"] > 0 and codes[""] >= 8 * ITERATIONS
    assert game.running == 0 and game.most <= 4


@pytest.mark.parametrize(("held", "most"), [(0, 4), (3, 1), (4, 1)])
def test_slots_that_another_rank_holds_are_left_to_it(monkeypatch: pytest.MonkeyPatch, held: int, most: int) -> None:
    game = Game(5)
    use(monkeypatch, game.play)
    with running_game(groups_per_iteration=4, group_size=2, concurrency=4) as folder:
        files = files_of(folder, 1)
        groups = assigned(planned_groups(folder.inputs, 1, Stage.ROLLOUT), [1.0])[0]
        virtual_clock.run(rank_for(folder, slots_in_use=lambda: held).play(files, groups, threshold=1.0))
        assert len(list(files.store)) == 8 and game.most == most
