"""Canaries: stored completions with the log-probabilities that the new weights give them.

The trainer writes them into each checkpoint; the publisher scores the same tokens on the server. Scores close to
`logprobs` show that the server computes like the trainer; scores closer to `logprobs` than to `parent_logprobs` show
that it holds the new weights and not the old ones. Servers score prompts at temperature 1, whatever temperature the
tokens were sampled at, and so does this file. An imported policy has none.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import CheckpointError
from training.sampling.samples import Sample

FILE = "canary.json"
TEMPERATURE = 1.0
"""Temperature at which a server scores the tokens of a prompt."""
CANDIDATES = 4
"""Candidates scored for each canary that is kept. More candidates separate old and new weights a little better, and
take longer."""


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
    """Log-probabilities of `token_ids` under the new weights, computed by the trainer."""
    sampled_logprobs: tuple[float, ...]
    """Log-probabilities of `token_ids` from the server at sampling time, at the sampling temperature."""
    parent_logprobs: tuple[float, ...] = ()
    """Log-probabilities of `token_ids` under the weights before the update, computed by the trainer: a server that was
    not reloaded answers with these. Empty in checkpoints older than this field."""


class Canary(BaseModel):
    """The content of canary.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int
    """Version of the policy that computed `logprobs`."""
    temperature: float
    """Temperature of `logprobs` and `parent_logprobs`: 1, except in checkpoints older than this rule."""
    completions: tuple[ScoredCompletion, ...]


def candidates(samples: Sequence[Sample], count: int) -> list[Sample]:
    """The first samples to score for `count` canaries: pictures before none, then the longest answers."""
    ordered = sorted(samples, key=lambda s: (not s.images, -len(s.token_ids), s.trajectory_id, s.step))
    return ordered[: count * CANDIDATES]


def make_canary(
    version: int,
    samples: Sequence[Sample],
    logprobs: Sequence[Sequence[float]],
    parent_logprobs: Sequence[Sequence[float]],
    *,
    count: int,
) -> Canary:
    """Keeps the `count` candidates on which old and new weights differ most, with both scores; samples with pictures
    first.

    Scores are at temperature 1: `score(policy, samples, images, temperature=TEMPERATURE)` before and after training.
    """
    scored = [_scored(*one) for one in zip(samples, logprobs, parent_logprobs, strict=True)]
    scored.sort(key=lambda one: (not one.images, -_mean_change(one)))
    return Canary(version=version, temperature=TEMPERATURE, completions=tuple(scored[:count]))


def _scored(sample: Sample, logprobs: Sequence[float], parent_logprobs: Sequence[float]) -> ScoredCompletion:
    return ScoredCompletion(
        trajectory_id=sample.trajectory_id,
        step=sample.step,
        prompt_token_ids=tuple(sample.prompt_token_ids.tolist()),
        token_ids=tuple(sample.token_ids.tolist()),
        images=sample.images,
        logprobs=tuple(logprobs),
        sampled_logprobs=tuple(sample.logprobs.tolist()),
        parent_logprobs=tuple(parent_logprobs),
    )


def _mean_change(one: ScoredCompletion) -> float:
    return sum(abs(new - old) for new, old in zip(one.logprobs, one.parent_logprobs, strict=True)) / len(one.logprobs)


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
    """Returns the end of the sentence about a completion that can't be compared, None when it can."""
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
