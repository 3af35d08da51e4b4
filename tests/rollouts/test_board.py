"""The end of a stage, the replacement of groups, and the assignment of groups to ranks."""

import pytest
from pydantic import ValidationError

from agent.types import Failure, Task
from rollouts.board import Board, tries_of
from rollouts.config import RolloutConfig
from rollouts.plan import Group, assigned


def groups(count: int, *, extra: str = "", first: int = 0, **more: object) -> list[Group]:
    numbers = range(first, first + count)
    return [
        Group.model_validate(
            {
                "group": f"g{number}",
                "members": 2,
                "task": Task(id=f"t.{number}", environment="e"),
                "extra": extra,
                **more,
            }
        )
        for number in numbers
    ]


def play(board: Board, *names: str, rewards: tuple[float | None, float | None] = (0.0, 1.0)) -> list[bool]:
    return [board.complete(name, f"{name}-m{member:02d}", rewards[member]) for name in names for member in (0, 1)]


@pytest.mark.parametrize(("threshold", "enough"), [(1.0, 4), (0.98, 4), (0.75, 3), (0.5, 2), (0.51, 3)])
def test_a_share_of_the_groups_is_enough(threshold: float, enough: int) -> None:
    board = Board(RolloutConfig(), groups(4), done=set(), threshold=threshold)
    seen = []
    for name in ("g3", "g1", "g0", "g2"):
        seen.append(board.is_enough)
        play(board, name)
    assert [*seen, board.is_enough] == [number >= enough for number in range(5)]


def test_a_group_of_which_a_member_is_missing_does_not_count() -> None:
    board = Board(RolloutConfig(), groups(1), done={"g0-m00"})
    assert not board.is_enough and [group.group for group in board.unfinished] == ["g0"]
    board.complete("g0", "g0-m01", 1.0)
    assert board.is_enough


def test_what_was_begun_ahead_counts_but_is_not_waited_for() -> None:
    board = Board(RolloutConfig(), groups(2), done=set())
    board.add(groups(2, extra="ahead", first=2))
    play(board, "g2", "g0")
    assert board.is_enough


def test_a_group_that_teaches_nothing_is_replaced_as_often_as_allowed() -> None:
    board = Board(RolloutConfig(shards=1, replace_zero_signal=1), groups(3), done=set())
    assert play(board, "g0", rewards=(0.0, 1.0)) == [False, False]
    assert play(board, "g1", rewards=(1.0, 1.0)) == [False, True]
    board.add(groups(1, extra="replacement", first=3))
    assert play(board, "g2", rewards=(0.0, 0.0)) == [False, False], "one replacement is all"
    assert not board.is_enough
    play(board, "g3")
    assert board.is_enough


def test_a_group_with_an_unknown_reward_is_not_replaced() -> None:
    board = Board(RolloutConfig(shards=1, replace_zero_signal=5), groups(2), done={"g1-m00"})
    assert play(board, "g0", rewards=(1.0, None)) == [False, False]
    assert board.complete("g1", "g1-m01", 1.0) is False


def test_a_group_that_was_begun_before_its_stage_is_replaced_if_its_rewards_are_known() -> None:
    rewards = {"g0-m00": 1.0, "g1-m00": 0.0, "g2-m00": None}
    done = {*rewards, "g3-m00"}
    board = Board(RolloutConfig(shards=1, replace_zero_signal=5), groups(4), done=done, rewards=rewards)
    assert [board.complete(f"g{number}", f"g{number}-m01", 1.0) for number in range(4)] == [True, False, False, False]


def test_groups_are_dealt_by_weight_and_stay_where_they_are() -> None:
    weights = RolloutConfig(shards=3, rank_load_weight=[1, 2, 1]).weights()
    mine = assigned(groups(40), weights)
    assert [len(one) for one in mine] == [10, 20, 10]
    longer = assigned([*groups(40), *groups(4, first=40, rank=2)], weights)
    assert longer[:2] == mine[:2] and longer[2] == [*mine[2], *groups(4, first=40, rank=2)]


def test_slots_are_shared_by_weight() -> None:
    config = RolloutConfig(concurrency=9, shards=2, rank_load_weight=[2, 1])
    assert [config.slots_of(shard) for shard in (0, 1)] == [6, 3]
    odd = RolloutConfig(concurrency=8, shards=3)
    assert [odd.slots_of(shard) for shard in range(3)] == [3, 3, 2], "never more than the browsers that there are"


def test_bounds_are_shared_in_one_process_and_dealt_out_to_workers() -> None:
    shape = {"shards": 2, "limits": {"model": 7}, "in_flight_mb": 30, "rank_load_weight": [2, 1]}
    here = RolloutConfig.model_validate(shape)
    assert (here.limits_of(1).model, here.in_flight_mb_of(1)) == (7, 30)
    workers = RolloutConfig.model_validate(shape | {"ranks": "workers"})
    assert [workers.limits_of(shard).model for shard in (0, 1)] == [5, 2]
    assert [workers.in_flight_mb_of(shard) for shard in (0, 1)] == pytest.approx([20, 10])


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"rank_load_weight": [1.0]}, "rank_load_weight has 1 numbers, but there are shards=2"),
        ({"ahead": 2, "stragglers": "kill"}, "ahead begins groups that are carried over"),
        ({"limits": {"clicks": 2}}, "Extra inputs"),
        ({"shards": 3, "concurrency": 2}, "shards=3 play at least one episode each, but concurrency=2"),
        ({"ranks": "workers", "limits": {"model": 1}}, "limits.model=1 leaves nothing to some of the shards=2"),
        ({"completion_threshold": 0}, "greater than 0"),
    ],
)
def test_what_does_not_fit_is_refused(section: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        RolloutConfig.model_validate(section)


@pytest.mark.parametrize(
    ("side", "retryable", "tries"),
    [("infra", True, 5), ("site", True, 2), ("policy", True, 1), ("infra", False, 1), ("judge", True, 1)],
)
def test_tries_by_fault(side: str, retryable: bool, tries: int) -> None:
    failure = Failure.model_validate({"side": side, "code": "X", "message": "x", "retryable": retryable})
    assert tries_of(failure, RolloutConfig(max_attempts=5, site_attempts=2)) == tries
