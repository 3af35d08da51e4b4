"""A mix of environments: shares of an iteration, whose task is whose, and mistakes of the configuration."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import pytest
from ended_trajectory import ended
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.types import Split, Task
from environments.base import UnknownTask
from environments.catalogs import Draw
from environments.config import EnvironmentConfig
from environments.drawing import different, draw_canaries, draw_tasks, find_task
from environments.history import TaskHistory
from environments.mixing.shares import counts_of, in_turn
from environments.registry import make_environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_environment"
NOW = datetime.now(UTC)
PARTS = [{"name": "shop", "share": 3}, {"name": "folder", "folder": str(EXAMPLE)}]


def mix(**fields: object) -> EnvironmentConfig:
    return EnvironmentConfig.model_validate({"name": "mix", "parts": PARTS, **fields})


def drawn(config: EnvironmentConfig, split: Split, count: int, iteration: int = 0) -> list[Task]:
    return draw_tasks(config, Draw(split, iteration, seed=7), count, history=TaskHistory(), now=NOW)


@given(st.lists(st.floats(0.001, 1_000), min_size=1, max_size=16), st.integers(0, 5_000), st.text(max_size=5))
def test_shares_are_exact_up_to_rounding_and_nothing_is_lost(shares: list[float], count: int, key: str) -> None:
    counts = counts_of(shares, count, key=key)
    assert sum(counts) == count and min(counts) >= 0
    for got, share in zip(counts, shares, strict=True):
        assert abs(got - count * share / sum(shares)) < 1 + 1e-6


def test_a_small_share_is_played_in_some_iterations_and_whole_ones_always() -> None:
    assert counts_of([2, 1], 30, key="any") == [20, 10]
    small = [counts_of([9, 1], 2, key=str(iteration))[1] for iteration in range(1_000)]
    assert set(small) == {0, 1} and mean(small) == pytest.approx(0.2, abs=0.05)
    assert in_turn([["a", "b", "c"], [], ["x"]]) == ["a", "x", "b", "c"]


def test_a_mix_draws_its_shares_the_same_each_time_and_keeps_the_splits_apart() -> None:
    train = drawn(mix(), "train", 40)
    assert Counter(task.environment for task in train) == {"shop": 30, "todo": 10}
    assert train == drawn(mix(), "train", 40) != drawn(mix(), "train", 40, iteration=1)
    assert {task.environment for task in train[:2]} == {"shop", "todo"}, "one of each in turn"
    heldout = drawn(mix(), "heldout", 40)
    assert heldout == drawn(mix(), "heldout", 40, iteration=5)
    assert not {task.domain for task in train} & {task.domain for task in heldout}
    canaries = draw_canaries(mix(), Draw("train", 0, seed=7), 8)
    assert Counter(task.environment for task in canaries) == {"shop": 6, "todo": 2}
    assert all(task.canary for task in canaries)
    for task in train[:6]:
        assert find_task(mix(), "train", task.id, iteration=0) == task
    with pytest.raises(UnknownTask):
        find_task(mix(), "train", "nothing.1", iteration=0)
    other = train[0].model_copy(update={"environment": "other"})
    with pytest.raises(ValueError, match="both have a task"):
        different([train[0], other])


async def test_each_task_is_served_judged_and_bounded_by_its_own_environment() -> None:
    config = mix(blocked_hosts=["ads.test"])
    environment = make_environment(config)
    assert environment.judges and environment.viewport.width == 1024
    async with environment:
        for task in drawn(config, "train", 4):
            async with environment.serve(task, trajectory_id="t") as site:
                assert site.reach.only_sites and site.reach.blocked_hosts == ("ads.test",)
                verdict = await environment.check(ended(task), await site.final_state())
                assert verdict.reward == 0 and verdict.judge == task.environment
        with pytest.raises(UnknownTask, match="the mix has shop, todo"):
            environment.serve(task.model_copy(update={"environment": "wiki"}), trajectory_id="t")


def test_a_part_has_what_it_does_not_set_from_the_mix() -> None:
    horizon = {"by_difficulty": {"1-3": 5}}
    own = {"by_difficulty": {"1-3": 9}}
    config = mix(horizon=horizon, isolation="browser", parts=[PARTS[0], {**PARTS[1], "horizon": own}])
    shop, todo = config.members
    assert shop.isolation == todo.isolation == "browser"
    assert {task.max_steps for task in drawn(config, "train", 8) if task.environment == "shop"} == {5}
    assert {task.max_steps for task in drawn(config, "train", 8) if task.environment == "todo"} == {9}
    assert not config.ends_blocked_episodes
    live = {"name": "live", "tasks": {"train": "a.jsonl", "heldout": "b.jsonl"}}
    with_live = mix(parts=[PARTS[0], live])
    assert with_live.ends_blocked_episodes
    below = with_live.below(Path("/data"))
    assert below.parts[1].tasks is not None and below.parts[1].tasks.train == "/data/a.jsonl"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "mix"}, "set both or neither"),
        ({"name": "shop", "parts": PARTS}, "set both or neither"),
        ({"name": "mix", "parts": [{"name": "mix"}]}, "a mix can't be a part of a mix"),
        ({"name": "mix", "parts": [{"name": "shop"}, {"name": "shop"}]}, "each environment once"),
        ({"name": "mix", "domains": ["click-test"], "parts": PARTS}, "put tasks and domains into its parts"),
        ({"name": "mix", "parts": [{"name": "shop", "share": 0}]}, "greater than 0"),
        ({"name": "mix", "parts": [{"name": "shop", "parts": []}]}, "Extra inputs"),
        ({"name": "mix", "parts": [{"name": "miniwob"}]}, "name task families in domains"),
    ],
)
def test_a_mix_that_is_none_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EnvironmentConfig.model_validate(wrong)


def test_parts_of_different_page_sizes_need_a_size() -> None:
    parts = [{"name": "shop"}, {"name": "miniwob", "domains": ["click-test"]}]
    with pytest.raises(ValidationError, match="another size"):
        mix(parts=parts)
    assert make_environment(mix(parts=parts, viewport={"width": 640, "height": 480})).viewport.width == 640
    large = {**PARTS[1], "viewport": {"width": 1600, "height": 900}}
    assert make_environment(mix(parts=[PARTS[0], large])).viewport.width == 1600
