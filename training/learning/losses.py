"""The token loss of an optimiser step and its metrics: pure functions of tensors.

B samples, T sampled tokens (right-padded). With rho = pi / mu of each token (mu: the sampling policy, "bypass": the ratio is
taken to it directly) and N tokens in the optimiser step,

    dapo:  -(1/N) sum m min(rho A, clip(rho, 1 - low, 1 + high) A)      (DAPO 2503.14476; m: the guard)
    cispo: -(1/N) sum stop_gradient(min(rho, cap)) A log pi             (MiniMax-M1 2506.13585)
"""

import torch
from torch import Tensor


def dapo_loss(
    logprobs: Tensor, sampled: Tensor, advantages: Tensor, mask: Tensor, *, low: float, high: float
) -> Tensor:
    """Sum over the unmasked tokens of `-min(rho A, clip(rho, 1 - low, 1 + high) A)`; all tensors (B, T)."""
    ratio = _ratio(logprobs, sampled, mask)
    worst = torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)
    return -(worst * mask).sum()


def cispo_loss(logprobs: Tensor, sampled: Tensor, advantages: Tensor, mask: Tensor, *, cap: float) -> Tensor:
    """Sum over the unmasked tokens of `-min(rho, cap) A log pi`, the weight detached; all tensors (B, T)."""
    weight = _ratio(logprobs, sampled, mask).clamp(max=cap).detach()
    return -(weight * advantages * logprobs * mask).sum()


def _ratio(logprobs: Tensor, sampled: Tensor, mask: Tensor) -> Tensor:
    """pi / mu of each unmasked token, 1 elsewhere: a masked token may have any ratio, and infinity times 0 is NaN."""
    difference = logprobs - sampled
    return torch.where(mask > 0, difference, torch.zeros_like(difference)).exp()


def ratio_guard(logprobs: Tensor, sampled: Tensor, *, max_ratio: float) -> Tensor:
    """(B, T) 1 where pi / mu lies within [1 / max_ratio, max_ratio], else 0.

    Tokens outside come from a stale policy or from numerical differences between server and trainer; with a negative
    advantage nothing would clip their gradient (IcePop; AsyncWebRL's cap of 5).
    """
    return ((logprobs - sampled).abs() <= torch.log(torch.tensor(max_ratio))).to(logprobs.dtype)


def token_sums(
    logprobs: Tensor,
    sampled: Tensor,
    entropies: Tensor,
    advantages: Tensor,
    mask: Tensor,
    guard: Tensor,
    *,
    low: float,
    high: float,
) -> dict[str, float]:
    """Sums over the unmasked tokens of a micro batch, all tensors (B, T); `means` averages several of them.
    `low` and `high` are the widths of the clip range. Names: docs of `training.learning.report`.
    """
    log_ratio = ((logprobs - sampled) * mask).float()
    ratio = log_ratio.exp()
    clipped_low = (ratio < 1 - low) & (advantages < 0)
    clipped_high = (ratio > 1 + high) & (advantages > 0)
    columns = {
        "tokens": mask,
        "ratio": ratio * mask,
        # k3, an unbiased and never negative estimate of KL(mu || pi): http://joschu.net/blog/kl-approx.html
        "kl": (ratio - 1 - log_ratio) * mask,
        "entropy": entropies * mask,
        "clip_low": clipped_low * mask,
        "clip_high": clipped_high * mask,
        "guarded": (1 - guard) * mask,
    }
    totals = torch.stack([column.float().sum() for column in columns.values()])
    return dict(zip(columns, totals.tolist(), strict=True))


def means(sums: list[dict[str, float]]) -> dict[str, float]:
    """Averages per token over micro batches; `{}` when there is none. `tokens` stays a sum."""
    if not sums:
        return {}
    tokens = sum(one["tokens"] for one in sums)
    averages = {name: sum(one[name] for one in sums) / max(tokens, 1) for name in sums[0] if name != "tokens"}
    return {"tokens": tokens, **averages}
