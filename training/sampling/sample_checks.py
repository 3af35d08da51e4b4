"""Faults of stored steps: a step that breaks an invariant is left out and named; many of them stop the update.

One faulty step, from a hostile page or a lost file, must not stop a run. Many have a systematic cause in the rollout,
the store or the server, and training on the rest would hide it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent.types import Completion
from training.errors import SampleError

HIGHEST_LOGPROB = 1e-3
"""Log-probabilities are at most 0, apart from rounding on the server."""


class Vocabulary(NamedTuple):
    """Token ids and placeholders from the model's configuration."""

    size: int
    image_token: int | None
    """Placeholder for picture features, allowed in prompts only; None for a text-only model."""
    video_token: int | None = None

    @property
    def placeholders(self) -> frozenset[int]:
        """Tokens that stand for features."""
        return frozenset(token for token in (self.image_token, self.video_token) if token is not None)


class Fault(NamedTuple):
    """Example: `Fault("token_ids", "token ids from 1 to 900 in a vocabulary of 320; the trajectory was ...")`."""

    reason: str
    """Key in `masked_steps`."""
    sentence: str


class BadStep(NamedTuple):
    """A step that was left out because of a fault."""

    trajectory_id: str
    step: int
    fault: Fault

    def __str__(self) -> str:
        return f"trajectory {self.trajectory_id}, step {self.step}: {self.fault.sentence}"


def fault_of(completion: Completion, vocabulary: Vocabulary, *, policy_version: int) -> Fault | None:
    """The first invariant that a completion with tokens breaks, apart from the pictures' contents; None if sound."""
    return (
        _of_logprobs(completion)
        or _of_token_ids(completion, vocabulary)
        or _of_pictures(completion, vocabulary)
        or _of_version(completion.policy_version, policy_version)
    )


def refuse_many(bad: Sequence[BadStep], good: int, *, at_most: float) -> None:
    """Raises SampleError when the share of bad samples exceeds `at_most`, unless all belong to one trajectory."""
    total, trajectories = len(bad) + good, len({one.trajectory_id for one in bad})
    if trajectories > 1 and len(bad) > at_most * total:
        raise SampleError(
            f"{len(bad)} of {total} samples, of {trajectories} trajectories, can't be trained on, and update.max_bad_fraction "
            f"allows {at_most:.0%}: that is no accident; the first is {bad[0]}"
        )


def _of_logprobs(completion: Completion) -> Fault | None:
    tokens, logprobs = len(completion.token_ids), len(completion.logprobs)
    if tokens != logprobs:
        return Fault("logprobs", f"{tokens} tokens but {logprobs} log-probabilities; collect the trajectory again")
    values = np.asarray(completion.logprobs)
    if not np.isfinite(values).all() or values.max() > HIGHEST_LOGPROB:
        return Fault("logprobs", f"log-probabilities must be finite and at most 0, found {values.max()}")
    if completion.temperature <= 0:
        return Fault(
            "temperature",
            f"sampled at temperature {completion.temperature:g}, where tokens have no probabilities to learn from; play "
            "with agent.temperature above 0",
        )
    return None


def _of_token_ids(completion: Completion, vocabulary: Vocabulary) -> Fault | None:
    if not completion.prompt_token_ids:
        return Fault("no_prompt", "no prompt tokens stored; ask the server for return_token_ids")
    ids = completion.prompt_token_ids + completion.token_ids
    if min(ids) < 0 or max(ids) >= vocabulary.size:
        return Fault(
            "token_ids",
            f"token ids from {min(ids)} to {max(ids)} in a vocabulary of {vocabulary.size}; the trajectory was sampled by "
            "another model",
        )
    return None


def _of_pictures(completion: Completion, vocabulary: Vocabulary) -> Fault | None:
    if vocabulary.image_token is None:
        if completion.images:
            return Fault(
                "picture_without_eyes",
                "the prompt shows a picture, but the policy is a text-only model; set agent.screenshot=false, or train a "
                "model that sees",
            )
        return None
    if vocabulary.video_token in completion.prompt_token_ids:
        return Fault("placeholders", "the prompt has placeholders of a video, and there are none in a trajectory")
    has_placeholders = vocabulary.image_token in completion.prompt_token_ids
    if has_placeholders != bool(completion.images):
        found = "placeholders but no pictures" if has_placeholders else "pictures but no placeholders"
        return Fault("placeholders", f"the prompt has {found}")
    return None


def _of_version(sampled: int | None, trained: int) -> Fault | None:
    if sampled is None:
        return Fault("policy_version", "sampled by no known policy version")
    if sampled > trained:
        return Fault("policy_version", f"sampled by policy version {sampled}, but version {trained} is trained")
    return None
