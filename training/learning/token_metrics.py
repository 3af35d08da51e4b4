"""Metrics of an update over its sampled tokens: sums per micro batch, averaged afterwards. Names: `report`."""

import math

import torch

from training.algorithms.loss_settings import LossSettings
from training.algorithms.objective import Objective, Tokens


def token_sums(tokens: Tokens, found: Objective, *, low: float, high: float) -> dict[str, float]:
    """Sums over the unmasked tokens of a micro batch; `means` averages several of them.

    `low` and `high` are the widths of the clip range.
    """
    mask, advantages = tokens.mask, tokens.advantages
    log_ratio = (torch.where(mask > 0, tokens.logprobs.detach() - tokens.sampled, 0.0) * mask).float()
    ratio, clipped_ratio = log_ratio.exp(), found.log_ratio.exp()
    capped = found.treatment.capped
    columns = {
        "tokens": mask,
        "ratio": ratio * mask,
        # k3, an unbiased and never negative estimate of KL(mu || pi): http://joschu.net/blog/kl-approx.html
        "kl": (ratio - 1 - log_ratio) * mask,
        "kl_reference": found.kl * mask,
        "entropy": tokens.entropies.detach() * mask,
        "clip_low": (clipped_ratio < 1 - low) * (advantages < 0) * mask,
        "clip_high": (clipped_ratio > 1 + high) * (advantages > 0) * mask,
        "guarded": (1 - found.treatment.keep) * mask,
        "capped_positive": capped * (advantages > 0) * mask,
        "capped_negative": capped * (advantages < 0) * mask,
        "lag": tokens.lags[:, None] * mask,
    }
    totals = torch.stack([column.float().sum() for column in columns.values()])
    return dict(zip(columns, totals.tolist(), strict=True))


def clip_widths(config: LossSettings) -> tuple[float, float]:
    """Widths of the range in which a ratio has a gradient, below and above 1. `cispo` caps above only, `nll` nowhere."""
    match config.loss_type:
        case "cispo":
            return 1.0, config.max_ratio - 1
        case "nll":
            return 1.0, math.inf
        case "dapo" | "gspo":
            return config.clip_low, config.clip_high


def means(sums: list[dict[str, float]]) -> dict[str, float]:
    """Averages per token over micro batches; `{}` when there is none. `tokens` stays a sum."""
    if not sums:
        return {}
    tokens = sum(one["tokens"] for one in sums)
    averages = {name: sum(one[name] for one in sums) / max(tokens, 1) for name in sums[0] if name != "tokens"}
    return {"tokens": tokens, **averages}
