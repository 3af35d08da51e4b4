"""Log-probabilities of sampled tokens under a policy, as the loss needs them: a padded batch in, (B, T) tensors out.

The head is applied to the sampled positions only (`logits_to_keep`), and to one row at a time: prompts are long, and a row of
logits over a large vocabulary is the largest tensor of an update.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.config import UpdateConfig
from training.learning.minibatches import picture_row, within
from training.learning.models import ImageSource, LoadedPolicy, collate
from training.learning.processes.ranks import gathered
from training.learning.processes.sharded import reshard
from training.sampling.samples import Sample
from training.settings import rank, world_size

PICTURES = ("pixel_values", "image_grid_thw", "mm_token_type_ids")


class TokenScores(NamedTuple):
    """Scores of the completions of a batch, right-padded."""

    logprobs: Tensor
    """(B, T) natural-log probability of each sampled token, at the temperature; with gradient."""
    entropies: Tensor
    """(B, T) entropy of the distribution at each sampled position, in nats; without gradient unless asked for."""


def token_scores(
    model: Any, batch: dict[str, Any], *, temperature: float, entropy_gradient: bool = False
) -> TokenScores:
    """Scores the completions of a batch of `models.collate` in one forward pass."""
    length = batch["completion_ids"].size(1)
    inputs = {
        "input_ids": torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1),
        "attention_mask": torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1),
        "logits_to_keep": length + 1,
        "use_cache": False,
        **{name: batch[name] for name in PICTURES if name in batch},
    }
    logits = model(**inputs).logits[:, -(length + 1) : -1]  # the logits at a position predict the token after it
    logprobs, entropies = [], []
    for row, tokens in zip(logits, batch["completion_ids"], strict=True):
        scaled = row.float() / temperature
        logprobs.append(scaled.gather(-1, tokens[:, None])[:, 0] - scaled.logsumexp(-1))
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            entropies.append(_entropy(scaled if entropy_gradient else scaled.detach()))
    return TokenScores(torch.stack(logprobs), torch.stack(entropies))


def _entropy(logits: Tensor) -> Tensor:
    """Entropy (T,) of the distributions of `logits` (T, V)."""
    if not logits.requires_grad:
        # Not p log p directly: a token that a model rules out has p = 0 and log p = -infinity.
        return torch.special.entr(logits.softmax(-1)).sum(-1)
    # The gradient of `entr` is infinite at 0, so tokens that are ruled out are left out by hand.
    log_p = logits.log_softmax(-1)
    possible = log_p > -torch.inf
    log_p = torch.where(possible, log_p, 0.0)
    return -(torch.where(possible, log_p.exp(), 0.0) * log_p).sum(-1)


@torch.no_grad()
def stored_scores(
    policy: LoadedPolicy, samples: Sequence[Sample], images: ImageSource, config: UpdateConfig
) -> list[NDArray[np.float32]]:
    """Log-probabilities of the samples' tokens under the policy, (T,) each, computed as the loss computes them.

    The processes of an update share the work, and all get all scores.
    """
    mine: dict[int, NDArray[np.float32]] = {}
    lengths = [len(sample) for sample in samples]
    by_length = sorted(range(len(samples)), key=lambda row: lengths[row])
    batches = within(by_length, lengths, config.micro_batch_size, config.micro_batch_tokens)
    for rows, beside in _passes(batches, samples, config):
        batch = collate(policy, [samples[row] for row in rows + beside], images)
        with torch.autocast("cuda", torch.bfloat16, enabled=computes_in_bf16(policy, config)):
            logprobs = token_scores(policy.model, batch, temperature=samples[rows[0]].temperature).logprobs
        for row, found in zip(rows, logprobs.cpu().numpy(), strict=False):
            # Copied: torch's own array was made among the activations of the pass, and would keep their memory in pieces.
            mine[row] = found[: len(samples[row].token_ids)].copy()
    reshard(policy.model)
    scores = {row: found for part in gathered(mine) for row, found in part.items()}
    return [scores[row] for row in range(len(samples))]


def _passes(
    batches: Sequence[list[int]], samples: Sequence[Sample], config: UpdateConfig
) -> Iterator[tuple[list[int], list[int]]]:
    """The rows of this process's forward passes, and those that it takes along because it must and does not need.

    Processes that share the weights pass as often as each other, and all with pictures or all without.
    """
    if config.sharding == "none":
        yield from ((rows, []) for rows in batches[rank() :: world_size()])
        return
    pictured, lengths = [bool(sample.images) for sample in samples], [len(sample) for sample in samples]
    for first in range(0, len(batches), world_size()):
        together = list(batches[first : first + world_size()])
        together += [together[0]] * (world_size() - len(together))
        yield together[rank()], picture_row(together, rank(), pictured, lengths)


def computes_in_bf16(policy: LoadedPolicy, config: UpdateConfig) -> bool:
    """True if forward passes run in bfloat16 over the float32 weights."""
    return policy.device.type == "cuda" and config.bf16_autocast
