"""Samples: the stored tokens of one step with the advantage of its trajectory. Nothing is tokenised a second time.

Every invariant that a wrong rollout, store or server could break is checked here, before any model is loaded.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.types import Completion
from training.errors import SampleError
from training.filters import Member, trainable


@dataclass(frozen=True, eq=False)
class Sample:
    """One step to learn from. P prompt tokens, T sampled tokens; the loss is on the T sampled tokens and on no other.

    Example: `Sample(trajectory_id="i0003-click-button.7-m2", step=0, prompt_token_ids=[1, 6, 6, 90], token_ids=[311, 2],
    logprobs=[-0.1, -0.02], advantage=1.5, images=("9f8c...",), policy_version=3, temperature=1.0)`
    """

    trajectory_id: str
    step: int
    prompt_token_ids: NDArray[np.int64]
    """(P,) as the server saw them, image placeholders expanded."""
    token_ids: NDArray[np.int64]
    """(T,) as they were sampled."""
    logprobs: NDArray[np.float32]
    """(T,) under the sampling policy at `temperature`."""
    advantage: float
    """Of the trajectory, the same for each of its tokens."""
    images: tuple[str, ...]
    """sha256 of the pictures in the prompt, in their order."""
    policy_version: int
    temperature: float

    def __len__(self) -> int:
        return len(self.prompt_token_ids) + len(self.token_ids)


class Vocabulary(NamedTuple):
    """What the model's configuration says about token ids."""

    size: int
    image_tokens: frozenset[int]
    """Placeholders for picture features; only prompts may hold them."""


class Samples(NamedTuple):
    """The samples of an update, and the steps that were left out, by reason."""

    samples: list[Sample]
    masked_steps: dict[str, int]


def read_vocabulary(model_directory: Path) -> Vocabulary:
    """Reads it from config.json. Raises SampleError when the file does not describe a language model."""
    path = model_directory / "config.json"
    config = json.loads(path.read_bytes())
    size = config.get("text_config", config).get("vocab_size")
    if not isinstance(size, int):
        raise SampleError(f"{path} names no vocab_size; expected the configuration of a language model")
    tokens = (config.get(key) for key in ("image_token_id", "video_token_id"))
    return Vocabulary(size, frozenset(token for token in tokens if token is not None))


def build_samples(
    members: Iterable[Member], *, vocabulary: Vocabulary, policy_version: int, max_staleness: int
) -> Samples:
    """Samples of all trainable steps, in the order of trajectories and steps.

    Steps that were sampled by a policy more than `max_staleness` versions older than `policy_version` are left out.
    Raises SampleError for a step that breaks an invariant, was sampled by a policy that is newer than the one trained, or
    at another temperature than the others.
    """
    samples: list[Sample] = []
    masked: dict[str, int] = {}
    for trajectory, _, advantage in members:
        for step in trajectory.steps:
            completion, reason = trainable(step)
            if completion is None:
                masked[reason] = masked.get(reason, 0) + 1
                continue
            if vocabulary.image_tokens & set(completion.token_ids):
                # The policy wrote a picture's placeholder: its own doing, but no forward pass could reproduce it.
                masked["image_placeholder"] = masked.get("image_placeholder", 0) + 1
                continue
            where = f"trajectory {trajectory.id}, step {step.index}"
            _check_tokens(completion, vocabulary, where)
            version = _checked_version(completion, policy_version, where)
            if version < policy_version - max_staleness:
                masked["stale"] = masked.get("stale", 0) + 1
                continue
            samples.append(
                Sample(
                    trajectory_id=trajectory.id,
                    step=step.index,
                    prompt_token_ids=np.asarray(completion.prompt_token_ids, dtype=np.int64),
                    token_ids=np.asarray(completion.token_ids, dtype=np.int64),
                    logprobs=np.asarray(completion.logprobs, dtype=np.float32),
                    advantage=advantage,
                    images=completion.images,
                    policy_version=version,
                    temperature=completion.temperature,
                )
            )
    temperatures = sorted({sample.temperature for sample in samples})
    if len(temperatures) > 1:
        raise SampleError(f"samples of one update must share a temperature, found {temperatures}")
    return Samples(samples, masked)


def digest(samples: Sequence[Sample]) -> str:
    """sha256 over everything that the update learns from: equal exactly when the same update would be made again."""
    total = hashlib.sha256()
    for sample in samples:
        head = [sample.trajectory_id, sample.step, sample.advantage, sample.images, len(sample.prompt_token_ids)]
        total.update(json.dumps(head).encode())
        for array in (sample.prompt_token_ids, sample.token_ids, sample.logprobs):
            total.update(array.tobytes())
    return total.hexdigest()


def _check_tokens(completion: Completion, vocabulary: Vocabulary, where: str) -> None:
    tokens, logprobs = len(completion.token_ids), len(completion.logprobs)
    if tokens != logprobs:
        raise SampleError(f"{where}: {tokens} tokens but {logprobs} log-probabilities; collect the trajectory again")
    if not completion.prompt_token_ids:
        raise SampleError(f"{where}: no prompt tokens stored; ask the server for return_token_ids")
    values = np.asarray(completion.logprobs)
    if not np.isfinite(values).all() or values.max() > 1e-3:
        raise SampleError(f"{where}: log-probabilities must be finite and at most 0, found {values.max()}")
    ids = np.asarray(completion.prompt_token_ids + completion.token_ids)
    if ids.min() < 0 or ids.max() >= vocabulary.size:
        raise SampleError(
            f"{where}: token ids from {ids.min()} to {ids.max()} in a vocabulary of {vocabulary.size}; "
            "the trajectory was sampled by another model"
        )
    has_pads = bool(vocabulary.image_tokens & set(completion.prompt_token_ids))
    if has_pads != bool(completion.images):
        found = "placeholders but no pictures" if has_pads else "pictures but no placeholders"
        raise SampleError(f"{where}: the prompt has {found}")


def _checked_version(completion: Completion, policy_version: int, where: str) -> int:
    version = completion.policy_version
    if version is None:
        raise SampleError(f"{where}: sampled by no known policy version")
    if version > policy_version:
        raise SampleError(f"{where}: sampled by policy version {version}, but version {policy_version} is trained")
    return version
