"""Canaries: stored completions with the log-probabilities that the new weights give them.

The trainer writes them into each checkpoint; the publisher scores the same tokens on the server, and only agreement
proves that the server holds these weights. An imported policy has none.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import CheckpointError
from training.samples import Sample

FILE = "canary.json"


class ScoredCompletion(BaseModel):
    """One stored completion under the new weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trajectory_id: str
    step: int
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    images: tuple[str, ...]
    """sha256 of the pictures in the prompt."""
    logprobs: tuple[float, ...]
    """Of `token_ids` under the new weights, computed by the trainer."""
    sampled_logprobs: tuple[float, ...]
    """Of `token_ids` under the policy that sampled them: what a server that was not reloaded would still say."""
    parent_logprobs: tuple[float, ...] = ()
    """Of `token_ids` under the parent's weights, computed by the trainer at temperature 1; none in an older file."""


class Canary(BaseModel):
    """The content of canary.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int
    """The policy that scored."""
    temperature: float
    """At which all log-probabilities are meant."""
    completions: tuple[ScoredCompletion, ...]


def choose(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Samples worth scoring: with a picture before those without, then the longest answers; always the same ones."""
    return sorted(samples, key=lambda s: (not s.images, -len(s.token_ids), s.trajectory_id, s.step))[:count]


def make_canary(version: int, samples: Sequence[Sample], logprobs: Sequence[Sequence[float]]) -> Canary:
    """Puts samples and their new log-probabilities together."""
    completions = tuple(
        ScoredCompletion(
            trajectory_id=sample.trajectory_id,
            step=sample.step,
            prompt_token_ids=tuple(sample.prompt_token_ids.tolist()),
            token_ids=tuple(sample.token_ids.tolist()),
            images=sample.images,
            logprobs=tuple(scores),
            sampled_logprobs=tuple(sample.logprobs.tolist()),
        )
        for sample, scores in zip(samples, logprobs, strict=True)
    )
    return Canary(version=version, temperature=samples[0].temperature, completions=completions)


def read_canary(checkpoint: Path) -> Canary | None:
    """The canary of a checkpoint directory, or None when it has none (an imported policy).

    Raises `CheckpointError` when the file is damaged, or holds a number that is not finite.
    """
    path = checkpoint / FILE
    try:
        canary = Canary.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        where = _first_place(error) if isinstance(error, ValidationError) else str(error)
        raise CheckpointError(f"{path} is no canary ({where}); delete {checkpoint} and make it again") from error
    for completion in canary.completions:
        if problem := _problem(completion):
            raise CheckpointError(
                f"{path}: {completion.trajectory_id}, step {completion.step} {problem}; make it again"
            )
    return canary


def _problem(completion: ScoredCompletion) -> str | None:
    """The end of the sentence about a completion that nothing can be compared with."""
    scored = {"logprobs": completion.logprobs}
    if completion.parent_logprobs:
        scored["parent_logprobs"] = completion.parent_logprobs
    for name, numbers in scored.items():
        if len(numbers) != len(completion.token_ids):
            return f"has {len(numbers)} {name} for {len(completion.token_ids)} tokens"
        if not all(math.isfinite(number) for number in numbers):
            return f"has {name} that are not finite: the policy is unsound"
    return None


def _first_place(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
