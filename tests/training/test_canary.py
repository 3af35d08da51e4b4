"""Canaries: the completions that tell new weights from old ones, scored as a server scores them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from stored_rollouts import Rollout

from training.checkpointing.canary import TEMPERATURE, Canary, candidates, make_canary
from training.learning.models import LoadedPolicy, score
from training.sampling.samples import Sample

MakeSamples = Callable[..., list[Sample]]


def test_scores_are_at_the_servers_temperature_and_not_at_the_samples(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    warm = make_samples()[:2]
    cold = [replace(sample, temperature=0.7) for sample in warm]
    at_one = score(policy, warm, filled.store.image)
    assert score(policy, cold, filled.store.image, temperature=TEMPERATURE) == at_one
    assert score(policy, cold, filled.store.image)[0] != pytest.approx(at_one[0], abs=1e-3)
    canary = make_canary(1, cold, at_one, at_one, count=2)
    assert canary.temperature == 1.0


def test_canaries_are_the_candidates_that_changed_most(make_samples: MakeSamples) -> None:
    samples = [sample for sample in make_samples() if sample.images]
    chosen = candidates(samples, 2)
    assert len(chosen) == 8
    before = [[-1.0] * len(sample.token_ids) for sample in chosen]
    after = [[-1.0 - 0.1 * (number % 5)] * len(sample.token_ids) for number, sample in enumerate(chosen)]
    canary = make_canary(7, chosen, after, before, count=1)
    (kept,) = canary.completions
    assert (kept.trajectory_id, kept.step) == (chosen[4].trajectory_id, chosen[4].step)
    assert (kept.logprobs, kept.parent_logprobs) == (tuple(after[4]), tuple(before[4]))


def test_a_completion_with_a_picture_comes_first_however_little_it_changed(make_samples: MakeSamples) -> None:
    samples = make_samples()
    two = [next(s for s in samples if not s.images), next(s for s in samples if s.images)]
    before = [[-1.0] * len(sample.token_ids) for sample in two]
    after = [[-3.0] * len(two[0].token_ids), before[1]]
    assert make_canary(1, two, after, before, count=1).completions[0].images == two[1].images


def test_a_canary_without_the_parents_scores_still_loads() -> None:
    stored = {
        "trajectory_id": "t",
        "step": 0,
        "prompt_token_ids": [1],
        "token_ids": [2],
        "images": [],
        "logprobs": [-1.0],
        "sampled_logprobs": [-1.1],
    }
    old = Canary.model_validate({"version": 1, "temperature": 0.7, "completions": [stored]})
    assert old.completions[0].parent_logprobs == ()
