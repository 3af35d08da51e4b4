"""Corrections for tokens that another policy sampled: the proximal policy, masks and weights. Tensors are (B, T).

mu sampled the tokens, prox is the policy that the clipped ratio is taken to, pi is trained. `decoupled`: rho = pi / prox
inside the clip, and a weight w = prox / mu outside of it (Hilton et al. 2110.00641, AReaL 2505.24298).
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor


class Behaviour(NamedTuple):
    """Treatment of each token, all without gradient."""

    keep: Tensor
    """1 for tokens that are trained on, 0 for masked ones."""
    weight: Tensor
    """Factor of the token's loss."""
    capped: Tensor
    """True where `max_ratio` masked the token or lowered its weight."""


def interpolated(now: Tensor, sampled: Tensor, lags: Tensor) -> Tensor:
    """log prox between the sampling and the trained policy, without a forward pass (A-3PO 2512.06547).

    `log prox = log mu + a (log pi - log mu)` with `a = lag / (lag + 1)`: the parent's share of the versions between mu
    and the version that is being made. `lags` (B,) is the age of each sample in versions. With lag 0 it is mu itself;
    with lag 3, log mu -2 and log pi -1 it is -1.25. `now` has no gradient.
    """
    share = (lags / (lags + 1))[:, None].to(now.dtype)
    return sampled + share * (now - sampled)


def ratio_guard(logprobs: Tensor, sampled: Tensor, *, max_ratio: float) -> Tensor:
    """1 where pi / mu lies within [1 / max_ratio, max_ratio], else 0.

    Tokens outside come from a stale policy or from numerical differences between server and trainer; with a negative
    advantage nothing would clip their gradient (IcePop; AsyncWebRL's cap of 5).
    """
    return ((logprobs - sampled).abs() <= torch.log(torch.tensor(max_ratio))).to(logprobs.dtype)


def guarded(log_ratio: Tensor, *, max_ratio: float) -> Behaviour:
    """The guard as a treatment, for a ratio that is taken to the sampling policy: masked beyond the bound, weight 1."""
    keep = ratio_guard(log_ratio, torch.zeros_like(log_ratio), max_ratio=max_ratio)
    return Behaviour(keep, torch.ones_like(keep), keep == 0)


def decoupled(
    proximal: Tensor,
    sampled: Tensor,
    mask: Tensor,
    *,
    how: Literal["mask", "clamp", "sequence"],
    max_ratio: float,
) -> Behaviour:
    """Treatment of tokens by w = prox / mu, with C = max_ratio.

    mask      w, and no gradient where w > C (AsyncWebRL)
    clamp     min(w, C): truncated importance sampling per token (IMPALA 1802.01561, TIS)
    sequence  min(product of w over the response, C), the same for all its tokens (sequence-level TIS)

    With C = 5: w = [2, 6] becomes [2, masked], [2, 5], and [5, 5] (the product is 12).
    """
    log_weight = torch.where(mask > 0, proximal - sampled, torch.zeros_like(sampled))
    if how == "sequence":
        log_weight = log_weight.sum(-1, keepdim=True).expand_as(log_weight)
    bound = torch.log(torch.tensor(max_ratio))
    capped = log_weight > bound
    weight = log_weight.clamp(max=float(bound)).exp()
    keep = (~capped).to(weight.dtype) if how == "mask" else torch.ones_like(weight)
    return Behaviour(keep, weight, capped)


def no_treatment(sampled: Tensor) -> Behaviour:
    """Every token is kept, with weight 1."""
    ones = torch.ones_like(sampled)
    return Behaviour(ones, ones, torch.zeros_like(ones, dtype=torch.bool))
