"""The gap between trainer and server: per token and version, bounded on average, and one trajectory never blocks a run."""

import math
from dataclasses import replace

import numpy as np
import pytest

from training.checkpointing.recipe import difference, recipe_of
from training.config import UpdateConfig
from training.errors import BadInput
from training.learning.scoring.gap import Gap, measure_gap
from training.sampling.samples import Sample

TOKENS = 20
NONE = {"gap_mean": 0.0, "gap_large": 0.0, "gap_max": 0.0}
SAMPLE = Sample("t", 0, np.array([1]), np.arange(TOKENS), np.full(TOKENS, -1.0, np.float32), 1.0, (), 3, 1.0)


def measured(*trajectories: tuple[float, int], in_bf16: bool = False, **settings: float) -> Gap:
    """The gap of trajectories with (nats off on every token, version), a sample each, at version 3."""
    samples = [
        replace(SAMPLE, trajectory_id=f"t{i}", policy_version=version) for i, (_, version) in enumerate(trajectories)
    ]
    scores = [sample.logprobs + np.float32(off) for sample, (off, _) in zip(samples, trajectories, strict=True)]
    return measure_gap(samples, scores, UpdateConfig(**settings), version=3, in_bf16=in_bf16)  # ty: ignore[invalid-argument-type]


def test_numerics_are_no_gap() -> None:
    gap = measured((1e-6, 3), (1e-6, 3))
    assert gap.disagreeing == {} and gap.mean == pytest.approx(1e-6, rel=0.1) and gap.large == 0


@pytest.mark.parametrize("stale", [0, 1, 5])
def test_stale_trajectories_switch_nothing_off(stale: int) -> None:
    """With all stored log-probabilities two nats off, one stale trajectory once made an error a success."""
    with pytest.raises(BadInput, match=r"4 of 4 trajectories that version 3 sampled differ.*t\d by 2"):
        measured(*[(2.0, 3)] * 4, *[(0.5, 2)] * stale)


def test_a_difference_between_versions_is_none() -> None:
    gap = measured((0.0, 3), (2.0, 2), (2.0, 1))
    assert gap.disagreeing == {} and gap.judged_tokens == TOKENS
    assert gap.metrics() == NONE | {"gap_tokens": TOKENS, "gap_stale": pytest.approx(2.0)}


def test_a_trajectory_that_has_no_numbers_is_masked_whatever_its_version() -> None:
    gap = measured((0.0, 3), (math.nan, 2), (0.5, 2))
    assert list(gap.disagreeing) == ["t1"] and gap.metrics()["gap_stale"] == pytest.approx(0.5)


def test_the_only_judged_trajectory_may_be_the_broken_one() -> None:
    gap = measured((math.nan, 3), (0.5, 2))
    assert list(gap.disagreeing) == ["t0"], "it is masked, and no number that is none gets into the report"
    assert gap.metrics() == {"gap_tokens": 0, "gap_stale": pytest.approx(0.5)}


def test_the_mean_is_bounded_where_hardly_a_token_is_far_off() -> None:
    """Pictures of another run: 0.2 nats on average, 8 % of the tokens off by more than one."""
    with pytest.raises(BadInput, match=r"at most 0\.02 nats on average"):
        measured(*[(0.2, 3)] * 10)


@pytest.mark.parametrize(
    ("in_bf16", "off", "masked"), [(False, 0.021, True), (False, 0.019, False), (True, 0.44, False), (True, 0.46, True)]
)
def test_one_step_of_many_may_be_at_fault(in_bf16: bool, off: float, masked: bool) -> None:
    """One black picture of thirty: the mean of the trajectory is below its bound."""
    steps = [replace(SAMPLE, step=step) for step in range(30)]
    others = [replace(SAMPLE, trajectory_id=f"t{i}") for i in range(9)]
    scores = [sample.logprobs + np.float32(off if sample.step == 7 else 0.0) for sample in [*steps, *others]]
    gap = measure_gap([*steps, *others], scores, UpdateConfig(), version=3, in_bf16=in_bf16)
    assert gap.disagreeing == ({"t": pytest.approx(off, rel=1e-3)} if masked else {})


def test_bfloat16_may_differ_by_more() -> None:
    assert measured(*[(0.05, 3)] * 10, in_bf16=True).disagreeing == {}
    with pytest.raises(BadInput):
        measured(*[(0.2, 3)] * 10, in_bf16=True)
    assert measured(*[(0.2, 3)] * 10, max_gap_mean=0.3).disagreeing == {}


@pytest.mark.parametrize("off", [0.5, float("nan")])
def test_one_trajectory_is_masked_and_named(off: float) -> None:
    gap = measured((off, 3), *[(0.0, 3)] * 3)
    assert list(gap.disagreeing) == ["t0"] and gap.mean == 0.0
    assert gap.metrics() == NONE | {"gap_tokens": 3 * TOKENS}


def test_few_of_many_are_masked_and_too_many_stop_the_update() -> None:
    assert len(measured(*[(0.5, 3)] * 3, *[(0.0, 3)] * 30).disagreeing) == 3
    with pytest.raises(BadInput, match="and 1 more; the server held other weights"):
        measured(*[(0.5, 3)] * 4, *[(0.0, 3)] * 30)


def test_nothing_of_this_version_leaves_nothing_to_judge() -> None:
    gap = measured((2.0, 2), (2.0, 1))
    assert gap.disagreeing == {} and gap.metrics() == {"gap_tokens": 0, "gap_stale": pytest.approx(2.0)}


def test_old_samples_are_judged_by_scores_of_the_version_that_sampled_them() -> None:
    samples = [replace(SAMPLE, trajectory_id=f"t{i}", policy_version=2) for i in range(4)]
    scores = [sample.logprobs + np.float32(0.7) for sample in samples]
    own = {("t0", 0): SAMPLE.logprobs, ("t1", 0): SAMPLE.logprobs + np.float32(2.0)}
    gap = measure_gap(samples, scores, UpdateConfig(), version=3, in_bf16=False, own=own)
    assert list(gap.disagreeing) == ["t1"], "one is masked"
    assert gap.judged_tokens == TOKENS and gap.stale_mean == pytest.approx(0.7)
    assert gap.histogram is not None and gap.histogram.counts[0] == TOKENS == sum(gap.histogram.counts)
    own |= {("t2", 0): own["t1", 0]}
    with pytest.raises(BadInput, match=r"2 of 3 trajectories that an older version sampled differ.*t\d by 2"):
        measure_gap(samples, scores, UpdateConfig(), version=3, in_bf16=False, own=own)


@pytest.mark.parametrize("bound", ["max_gap_mean", "max_gap_fraction"])
def test_a_bound_that_masks_trajectories_is_part_of_an_updates_identity(bound: str) -> None:
    strict, lax = (
        recipe_of(UpdateConfig.model_validate({bound: value}), 1, parent_digest="", temperature=1.0)
        for value in (0.01, 0.5)
    )
    assert difference(strict, lax) == f"update.{bound} is 0.01 there and 0.5 here"
