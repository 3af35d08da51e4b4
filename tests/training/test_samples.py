"""Invariants of stored steps: what breaks one is named, and nothing is trained on."""

from typing import Any

import numpy as np
import pytest
from stored_rollouts import make_trajectory

from agent.types import Completion
from training.errors import SampleError
from training.filters import Member
from training.samples import Samples, Vocabulary, build_samples, digest

VOCABULARY = Vocabulary(size=100, image_tokens=frozenset({5, 6}))
GOOD = Completion(
    text="x",
    prompt_token_ids=(1, 5, 5, 9),
    token_ids=(20, 21, 2),
    logprobs=(-0.5, -0.25, 0.0),
    policy_version=3,
    images=("ab",),
)


def build(completion: Completion = GOOD, *, staleness: int = 0, advantage: float = 1.5, **changes: Any) -> Samples:
    step = completion.model_copy(update=changes)
    member = Member(make_trajectory("t7", [step]), reward=1.0, advantage=advantage)
    return build_samples([member], vocabulary=VOCABULARY, policy_version=3, max_staleness=staleness)


def test_a_sample_holds_exactly_what_was_stored() -> None:
    (sample,) = build().samples
    assert sample.prompt_token_ids.tolist() == [1, 5, 5, 9]
    assert sample.token_ids.tolist() == [20, 21, 2]
    assert sample.logprobs.tolist() == [-0.5, -0.25, 0.0]
    assert (sample.trajectory_id, sample.step, sample.policy_version) == ("t7", 0, 3)
    assert (sample.advantage, sample.images, len(sample)) == (1.5, ("ab",), 7)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"logprobs": (-0.5,)}, "trajectory t7, step 0: 3 tokens but 1 log-probabilities"),
        ({"logprobs": (-0.5, float("nan"), 0.0)}, "must be finite"),
        ({"logprobs": (-0.5, 0.5, 0.0)}, "at most 0"),
        ({"prompt_token_ids": ()}, "no prompt tokens"),
        ({"token_ids": (20, 21, 100)}, "from 1 to 100 in a vocabulary of 100"),
        ({"images": ()}, "placeholders but no pictures"),
        ({"prompt_token_ids": (1, 9)}, "pictures but no placeholders"),
        ({"policy_version": None}, "no known policy version"),
        ({"policy_version": 4}, "sampled by policy version 4, but version 3 is trained"),
    ],
)
def test_a_broken_step_is_refused_with_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SampleError, match=sentence):
        build(**changes)


def test_older_samples_are_taken_when_allowed() -> None:
    assert build(policy_version=2, staleness=1).samples[0].policy_version == 2
    assert build(policy_version=1, staleness=1) == ([], {"stale": 1})


def test_a_sampled_placeholder_masks_its_step() -> None:
    samples, masked = build(token_ids=(20, 5, 2))
    assert samples == []
    assert masked == {"image_placeholder": 1}


def test_temperatures_must_not_mix() -> None:
    hot = GOOD.model_copy(update={"temperature": 1.5})
    member = Member(make_trajectory("t7", [GOOD, hot]), reward=1.0, advantage=1.0)
    with pytest.raises(SampleError, match=r"share a temperature, found \[1.0, 1.5\]"):
        build_samples([member], vocabulary=VOCABULARY, policy_version=3, max_staleness=0)


def test_the_digest_tells_apart_all_that_matters_for_the_update() -> None:
    original = digest(build().samples)
    assert digest(build().samples) == original
    others = [
        build(advantage=1.0),
        build(token_ids=(20, 22, 2)),
        build(logprobs=(-0.5, -0.25, -0.01)),
        build(images=("cd",)),
        build(prompt_token_ids=(1, 5, 9, 20), token_ids=(21, 2), logprobs=(-0.5, -0.25)),
    ]
    assert len({original, *(digest(one.samples) for one in others)}) == 6
    assert np.issubdtype(build().samples[0].token_ids.dtype, np.int64)
