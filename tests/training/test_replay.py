"""Replay of earlier successes, steps that rules leave out, and credit against a moving average."""

from dataclasses import replace

import numpy as np
import pytest
from stored_rollouts import make_trajectory

from agent.types import Completion, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation, Screenshot, Viewport
from training.config import UpdateConfig
from training.sampling.filters import select
from training.sampling.replay import Played, draw_recent
from training.sampling.sample_checks import Vocabulary
from training.sampling.samples import Samples, build_samples, digest

COMPLETION = Completion(text="x", prompt_token_ids=(1,), token_ids=(2, 3), logprobs=(-1.0, -1.0), policy_version=0)
BUFFER = UpdateConfig(preset="webgym")


def play(name: str, *, task: str = "g0", iteration: int = 2, turns: int = 1) -> Trajectory:
    made = make_trajectory(name, [COMPLETION] * turns, group=task)
    return made.model_copy(update={"iteration": iteration})


def verdicts(**rewards: float) -> dict[str, Verdict]:
    return {name: Verdict(trajectory_id=name, reward=reward, judge="test") for name, reward in rewards.items()}


def samples(trajectories: list[Trajectory], rewards: dict[str, Verdict], config: UpdateConfig) -> Samples:
    members = select(trajectories, rewards, config).members
    vocabulary = Vocabulary(size=100, image_token=None)
    return build_samples(members, vocabulary=vocabulary, policy_version=9, max_staleness=9, config=config)


def test_cloning_takes_successes_only_older_ones_first() -> None:
    old = [Played(play("z1", iteration=1), 1.0)]
    found = select([play("a"), play("b"), play("c")], verdicts(a=1.0, b=0.5), BUFFER, earlier=old)
    assert [(one.trajectory.id, one.advantage) for one in found.members] == [("z1", 1.0), ("a", 1.0)]
    assert found.counts["replayed"] == 1 and found.counts["groups_used"] == 1 and found.counts["judged"] == 2
    partly = BUFFER.model_copy(update={"success_reward": 0.5})
    assert len(select([play("a"), play("b")], verdicts(a=1.0, b=0.5), partly).members) == 2


def test_cloning_has_no_limit_of_age() -> None:
    built = build_samples(
        select([play("a")], verdicts(a=1.0), BUFFER).members,
        vocabulary=Vocabulary(size=100, image_token=None),
        policy_version=50,
        max_staleness=0,
        config=BUFFER,
    )
    assert len(built.samples) == 1


def test_a_success_joins_a_group_in_which_all_failed() -> None:
    config = UpdateConfig(replay_iterations=2, advantage_scale="none")
    old = [Played(play("old", iteration=1), 1.0), Played(play("newer", iteration=2), 1.0)]
    failed = verdicts(a=0.0, b=0.0)
    found = select([play("a"), play("b")], failed, config, earlier=old)
    assert {one.trajectory.id: one.advantage for one in found.members} == pytest.approx(
        {"a": -1 / 3, "b": -1 / 3, "newer": 2 / 3}
    )
    assert found.counts["replayed"] == 1 and found.rewards == [0.0, 0.0]
    others = [Played(play("x", task="other"), 1.0)]
    assert select([play("a"), play("b")], failed, config, earlier=others).counts["groups_zero_signal"] == 1
    mixed = select([play("a"), play("b")], verdicts(a=0.0, b=1.0), config, earlier=old)
    assert mixed.counts["replayed"] == 0 and len(mixed.members) == 2


def test_a_replayed_success_moves_no_average() -> None:
    """Each iteration would see [0, 1] for a task that always fails, and punish every failure with -0.5 for ever."""
    config = UpdateConfig(credit="ema", advantage_scale="none", replay_iterations=2, baseline_decay=0.0)
    found = select([play("a")], verdicts(a=0.0), config, earlier=[Played(play("old", iteration=1), 1.0)])
    assert {one.trajectory.id: one.advantage for one in found.members} == {"a": 0.0, "old": 1.0}
    assert found.baselines == {"g0": 0.0}
    scaled = UpdateConfig(advantage_scale="batch_std", replay_iterations=2, advantage_min_std=1.0)
    joined = select([play("a"), play("b")], verdicts(a=0.0, b=0.0), scaled, earlier=[Played(play("old"), 1.0)])
    assert max(one.advantage for one in joined.members) == pytest.approx(2 / 3, rel=1e-3), (
        "the spread of this iteration is 0"
    )


def test_newer_steps_are_drawn_more_often() -> None:
    """WebGym's shares of four iterations of equal size: 1.6, 10.9, 29.7 and 57.8 %."""
    items = list(range(400))
    counts = np.zeros(4)
    for seed in range(300):
        drawn = draw_recent(items, count=8, recency=2.0, seed=seed)
        assert drawn == sorted(set(drawn)) and len(drawn) == 8
        counts += np.bincount(np.array(drawn) // 100, minlength=4)
    assert counts / counts.sum() == pytest.approx([0.016, 0.109, 0.297, 0.578], abs=0.03)
    assert draw_recent(items, count=8, recency=2.0, seed=1) == draw_recent(items, count=8, recency=2.0, seed=1)
    assert (
        draw_recent(items, count=None, recency=2.0, seed=1) == draw_recent(items, count=400, recency=0, seed=1) == items
    )


def shown(trajectory: Trajectory, pictures: str) -> Trajectory:
    """The trajectory with one picture per step and one at the end."""
    pages = [
        Observation(
            url="http://a/",
            title="",
            viewport=Viewport(),
            screenshot=Screenshot(sha256=one, media_type="image/png", width=1, height=1),
        )
        for one in pictures
    ]
    steps = [step.model_copy(update={"observation": page}) for step, page in zip(trajectory.steps, pages, strict=False)]
    return trajectory.model_copy(update={"steps": tuple(steps), "final_observation": pages[-1]})


@pytest.mark.parametrize(
    ("rule", "kept_of_success", "kept_of_failure"),
    [("none", [0, 1, 2], [0, 1, 2]), ("positive", [1, 2], [0, 1, 2]), ("all", [1, 2], [1, 2])],
)
def test_steps_without_effect_are_left_out(rule: str, kept_of_success: list[int], kept_of_failure: list[int]) -> None:
    """The page changes after the second step only; the last step ended the episode and stays."""
    trajectories = [shown(play(name, turns=3), "xxyy") for name in ("a", "b")]
    config = UpdateConfig.model_validate({"mask_unchanged": rule})
    built = samples(trajectories, verdicts(a=1.0, b=0.0), config)
    kept = {name: [one.step for one in built.samples if one.trajectory_id == name] for name in ("a", "b")}
    assert kept == {"a": kept_of_success, "b": kept_of_failure}
    assert built.masked_steps.get("unchanged", 0) == 6 - len(built.samples)


def test_outputs_that_can_not_be_parsed_are_masked_or_penalised_or_both() -> None:
    good, bad = play("a", turns=2), play("b", turns=2)
    unparsed = good.steps[0].model_copy(update={"action": None})
    good = good.model_copy(update={"steps": (unparsed, good.steps[1])})
    rewards = verdicts(a=1.0, b=0.0)
    plain = samples([good, bad], rewards, UpdateConfig())
    masked = samples([good, bad], rewards, UpdateConfig(mask_unparsable="positive"))
    both = samples([good, bad], rewards, UpdateConfig(mask_unparsable="positive", format_penalty=0.1))
    assert [len(one.samples) for one in (plain, masked, both)] == [4, 3, 3]
    assert masked.masked_steps == {"unparsable": 1}
    assert both.samples[0].advantage == pytest.approx(masked.samples[0].advantage - 0.05)


def test_truncated_answers_can_be_trained_on() -> None:
    cut = COMPLETION.model_copy(update={"finish_reason": "length"})
    good, bad = make_trajectory("a", [cut]), make_trajectory("b", [cut])
    assert samples([good, bad], verdicts(a=1.0, b=0.0), UpdateConfig()).masked_steps == {"truncated": 2}
    assert len(samples([good, bad], verdicts(a=1.0, b=0.0), UpdateConfig(mask_truncated=False)).samples) == 2


def test_long_trajectories_weigh_less_only_if_asked_for_and_the_digest_says_so() -> None:
    trajectories = [play("a", turns=4), play("b", turns=1)]
    per = samples(trajectories, verdicts(a=1.0, b=0.0), UpdateConfig(normaliser="trajectory")).samples
    assert [one.weight for one in per] == [0.25] * 4 + [1.0]
    plain = samples(trajectories, verdicts(a=1.0, b=0.0), UpdateConfig()).samples
    assert {one.weight for one in plain} == {1.0} and digest(plain) != digest(per)
    assert digest(plain) == digest([replace(one, weight=1.0) for one in per]), "old versions keep their digest"


def test_a_group_of_one_learns_against_its_task_s_average() -> None:
    config = UpdateConfig(credit="ema", advantage_scale="none", baseline_decay=0.5)
    found = select([play("a", task="x"), play("b", task="y")], verdicts(a=1.0, b=0.0), config, baselines={"x": 0.25})
    assert {one.trajectory.id: one.advantage for one in found.members} == {"a": 0.75, "b": -0.5}
    assert found.baselines == {"x": 0.625, "y": 0.25} and found.counts["groups_used"] == 2
    as_expected = select([play("a", task="x")], verdicts(a=1.0), config, baselines={"x": 1.0})
    assert as_expected.members == [] and as_expected.counts["groups_zero_signal"] == 1
