"""Samples: the stored tokens of one step with the advantage of its trajectory. Nothing is tokenised a second time.

Every invariant that a wrong rollout, store or server could break is checked here, before any model is loaded.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.types import Completion, Trajectory
from training.config import UpdateConfig
from training.errors import SampleError
from training.sampling.crediting import Member
from training.sampling.filters import masked_by_rule, trainable
from training.sampling.sample_checks import BadStep, Fault, Vocabulary, fault_of
from training.sampling.shaping import unchanged


@dataclass(frozen=True, eq=False)
class Sample:
    """One step to train on. P prompt tokens, T sampled tokens; only the T sampled tokens have loss.

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
    """Advantage of the step, the same for each of its tokens."""
    images: tuple[str, ...]
    """sha256 of the pictures in the prompt, in their order."""
    policy_version: int
    temperature: float
    weight: float = 1.0
    """Factor of its tokens in the loss: 1 / turns of the trajectory with `normaliser: trajectory`."""

    def __len__(self) -> int:
        return len(self.prompt_token_ids) + len(self.token_ids)


class Samples(NamedTuple):
    """The samples of an update, and the steps that were left out, by reason."""

    samples: list[Sample]
    masked_steps: dict[str, int]
    """Sound steps that are not trained on, by reason."""
    bad: list[BadStep]
    """Faulty steps."""


def read_vocabulary(model_directory: Path) -> Vocabulary:
    """Reads the vocabulary from config.json. Raises SampleError when the file does not describe a language model."""
    path = model_directory / "config.json"
    try:
        config = json.loads(path.read_bytes())
        size = (config.get("text_config") or config).get("vocab_size")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise SampleError(f"{path} can't be read as a model's configuration: {' '.join(str(error).split())}") from error
    if not isinstance(size, int):
        raise SampleError(f"{path} names no vocab_size; expected the configuration of a language model")
    sees = "vision_config" in config
    return Vocabulary(size, *(config.get(key) if sees else None for key in ("image_token_id", "video_token_id")))


def build_samples(
    members: Iterable[Member],
    *,
    vocabulary: Vocabulary,
    policy_version: int,
    max_staleness: int,
    config: UpdateConfig | None = None,
    read: Callable[[Trajectory], Trajectory] = lambda trajectory: trajectory,
) -> Samples:
    """Builds samples of all trainable steps, in the order of trajectories and steps.

    Leaves out steps that were sampled by a policy more than `max_staleness` versions older than `policy_version`, that
    break an invariant, that `config` masks, or that were sampled at another temperature than most. `read` gives the whole
    trajectory of a member that was selected in part.
    """
    config = config or UpdateConfig()
    samples: list[Sample] = []
    masked: Counter[str] = Counter()
    bad: list[BadStep] = []
    for member in members:
        trajectory, turns = read(member.trajectory), iter(member.by_turn)
        if not all(math.isfinite(one) for one in (member.advantage, *member.by_turn)):
            raise SampleError(
                f"trajectory {trajectory.id} has the advantage {member.advantage}; expected a finite number"
            )
        weight = 1 / max(1, _turns(trajectory)) if config.normaliser == "trajectory" else 1.0
        for step, same in zip(trajectory.steps, unchanged(trajectory), strict=True):
            advantage = next(turns, member.advantage) if step.completion is not None else member.advantage
            completion, reason = trainable(step, mask_truncated=config.mask_truncated)
            if completion is None:
                masked[reason] += 1
            elif rule := masked_by_rule(step, advantage, config=config, without_effect=same):
                masked[rule] += 1
            elif vocabulary.placeholders & set(completion.token_ids):
                # The policy sampled a picture's placeholder: a valid output, but no forward pass could reproduce it.
                masked["image_placeholder"] += 1
            elif fault := fault_of(completion, vocabulary, policy_version=policy_version):
                bad.append(BadStep(trajectory.id, step.index, fault))
            elif config.loss_type != "nll" and (completion.policy_version or 0) < policy_version - max_staleness:
                masked["stale"] += 1
            else:
                samples.append(_sample(trajectory.id, step.index, completion, advantage, weight))
    samples, odd = _of_one_temperature(samples)
    return Samples(samples, dict(masked), bad + odd)


def _turns(trajectory: Trajectory) -> int:
    return sum(step.completion is not None for step in trajectory.steps)


def _sample(trajectory_id: str, step: int, completion: Completion, advantage: float, weight: float) -> Sample:
    return Sample(
        trajectory_id=trajectory_id,
        step=step,
        prompt_token_ids=np.asarray(completion.prompt_token_ids, dtype=np.int64),
        token_ids=np.asarray(completion.token_ids, dtype=np.int64),
        logprobs=np.asarray(completion.logprobs, dtype=np.float32),
        advantage=advantage,
        images=completion.images,
        policy_version=completion.policy_version or 0,
        temperature=completion.temperature,
        weight=weight,
    )


def _of_one_temperature(samples: list[Sample]) -> tuple[list[Sample], list[BadStep]]:
    """Keeps the samples at the most frequent temperature and names the others: one update uses one temperature."""
    counts = Counter(sample.temperature for sample in samples)
    if len(counts) < 2:
        return samples, []
    common = max(sorted(counts), key=lambda temperature: counts[temperature])
    sentence = "sampled at temperature {:g}, most others at {:g}; samples of one update must share a temperature"
    odd = [
        BadStep(one.trajectory_id, one.step, Fault("temperature", sentence.format(one.temperature, common)))
        for one in samples
        if one.temperature != common
    ]
    return [sample for sample in samples if sample.temperature == common], odd


def digest(samples: Sequence[Sample]) -> str:
    """sha256 over all sample data of the update: equal exactly when the same update would be made again."""
    total = hashlib.sha256()
    for sample in samples:
        head = [sample.trajectory_id, sample.step, sample.advantage, sample.images, len(sample.prompt_token_ids)]
        # Versions that were made before samples had weights keep their digest.
        head += [sample.weight] if sample.weight != 1.0 else []
        total.update(json.dumps(head).encode())
        for array in (sample.prompt_token_ids, sample.token_ids, sample.logprobs):
            total.update(array.tobytes())
    return total.hexdigest()
