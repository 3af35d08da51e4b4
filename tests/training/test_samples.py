"""Invariants of stored steps: what breaks one is named, and nothing is trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_rollouts import make_trajectory

from agent.types import Completion
from training.errors import SampleError
from training.sampling.filters import Member
from training.sampling.sample_checks import BadStep, Fault, Vocabulary, refuse_many
from training.sampling.samples import Samples, build_samples, digest, read_vocabulary

VOCABULARY = Vocabulary(size=100, image_token=5, video_token=6)
GOOD = Completion(
    text="x",
    prompt_token_ids=(1, 5, 5, 9),
    token_ids=(20, 21, 2),
    logprobs=(-0.5, -0.25, 0.0),
    policy_version=3,
    images=("ab",),
)


def build(
    completion: Completion = GOOD,
    *,
    staleness: int = 0,
    advantage: float = 1.5,
    vocabulary: Vocabulary = VOCABULARY,
    **changes: Any,
) -> Samples:
    step = completion.model_copy(update=changes)
    member = Member(make_trajectory("t7", [step]), reward=1.0, advantage=advantage)
    return build_samples([member], vocabulary=vocabulary, policy_version=3, max_staleness=staleness)


def test_a_sample_holds_exactly_what_was_stored() -> None:
    (sample,) = build().samples
    assert sample.prompt_token_ids.tolist() == [1, 5, 5, 9]
    assert sample.token_ids.tolist() == [20, 21, 2]
    assert sample.logprobs.tolist() == [-0.5, -0.25, 0.0]
    assert (sample.trajectory_id, sample.step, sample.policy_version) == ("t7", 0, 3)
    assert (sample.advantage, sample.images, len(sample)) == (1.5, ("ab",), 7)


@pytest.mark.parametrize(
    ("changes", "reason", "sentence"),
    [
        ({"logprobs": (-0.5,)}, "logprobs", "trajectory t7, step 0: 3 tokens but 1 log-probabilities"),
        ({"logprobs": (-0.5, float("nan"), 0.0)}, "logprobs", "must be finite"),
        ({"logprobs": (-0.5, 0.5, 0.0)}, "logprobs", "at most 0"),
        ({"temperature": 0.0}, "temperature", "sampled at temperature 0, where tokens have no probabilities"),
        ({"prompt_token_ids": ()}, "no_prompt", "no prompt tokens"),
        ({"token_ids": (20, 21, 100)}, "token_ids", "from 1 to 100 in a vocabulary of 100"),
        ({"prompt_token_ids": (1, 5, -2)}, "token_ids", "from -2 to 21 in a vocabulary of 100"),
        ({"images": ()}, "placeholders", "placeholders but no pictures"),
        ({"prompt_token_ids": (1, 9)}, "placeholders", "pictures but no placeholders"),
        ({"prompt_token_ids": (1, 5, 6)}, "placeholders", "placeholders of a video"),
        ({"policy_version": None}, "policy_version", "no known policy version"),
        ({"policy_version": 4}, "policy_version", "sampled by policy version 4, but version 3 is trained"),
    ],
)
def test_a_broken_step_is_left_out_and_named(changes: dict[str, Any], reason: str, sentence: str) -> None:
    samples, masked, (bad,) = build(**changes)
    assert (samples, masked) == ([], {})
    assert (bad.trajectory_id, bad.step, bad.fault.reason) == ("t7", 0, reason)
    assert str(bad).startswith("trajectory t7, step 0: ") and sentence in str(bad)


def test_a_text_only_model_learns_from_text_and_refuses_pictures() -> None:
    text_only = Vocabulary(size=100, image_token=None)
    assert len(build(vocabulary=text_only, images=()).samples) == 1
    (bad,) = build(vocabulary=text_only).bad
    assert "the prompt shows a picture, but the policy is a text-only model" in str(bad)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ('{"vocab_size": 9, "image_token_id": 3}', Vocabulary(9, None)),
        ('{"text_config": {"vocab_size": 9}, "vision_config": {}, "image_token_id": 3}', Vocabulary(9, 3)),
    ],
)
def test_only_a_model_with_eyes_has_placeholders(tmp_path: Path, config: str, found: Vocabulary) -> None:
    (tmp_path / "config.json").write_text(config)
    assert read_vocabulary(tmp_path) == found


@pytest.mark.parametrize(
    "content", [b'{"vocab_size": 9', b"[1]", b"\xff\xfe", b"{}", b'{"vocab_size": "many"}', b"[" * 9_999]
)
def test_a_broken_model_configuration_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(SampleError, match=r"config\.json") as refused:
        read_vocabulary(tmp_path)
    assert "\n" not in str(refused.value)


def test_an_advantage_is_finite() -> None:
    with pytest.raises(SampleError, match="trajectory t7 has the advantage nan; expected a finite number"):
        build(advantage=float("nan"))


def bad_steps(*trajectories: str) -> list[BadStep]:
    return [BadStep(name, step, Fault("picture", "no picture")) for step, name in enumerate(trajectories)]


@pytest.mark.parametrize(
    ("bad", "good", "refused"),
    [
        (bad_steps("a"), 1, False),
        (bad_steps("a", "a", "a"), 1, False),
        (bad_steps("a", "b"), 18, False),
        (bad_steps("a", "b"), 17, True),
        (bad_steps("a", "b"), 0, True),
    ],
)
def test_many_bad_steps_of_several_trajectories_are_refused(bad: list[BadStep], good: int, refused: bool) -> None:
    if refused:
        with pytest.raises(
            SampleError, match=r"2 of \d+ samples, of 2 .* allows 10%.* trajectory a, step 0: no picture"
        ):
            refuse_many(bad, good, at_most=0.1)
    else:
        refuse_many(bad, good, at_most=0.1)


def test_older_samples_are_taken_when_allowed() -> None:
    assert build(policy_version=2, staleness=1).samples[0].policy_version == 2
    assert build(policy_version=1, staleness=1) == ([], {"stale": 1}, [])


def test_a_sampled_placeholder_masks_its_step() -> None:
    samples, masked, bad = build(token_ids=(20, 5, 2))
    assert (samples, bad) == ([], [])
    assert masked == {"image_placeholder": 1}


def test_temperatures_must_not_mix() -> None:
    hot = GOOD.model_copy(update={"temperature": 1.5})
    member = Member(make_trajectory("t7", [hot, GOOD, GOOD]), reward=1.0, advantage=1.0)
    samples, _, (bad,) = build_samples([member], vocabulary=VOCABULARY, policy_version=3, max_staleness=0)
    assert [sample.temperature for sample in samples] == [1.0, 1.0]
    assert "step 0: sampled at temperature 1.5, most others at 1; samples of one update must share" in str(bad)


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
