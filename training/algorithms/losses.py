"""Losses per token: pure functions of tensors (B, T), B responses of T tokens, right-padded.

With rho = pi / prox of each token (`log_ratio` is its logarithm, 0 where a token is masked) and its advantage A:

    clipped  -min(rho A, clip(rho, 1 - low, 1 + high) A), for A < 0 at most dual * -A
             (PPO 1707.06347; asymmetric DAPO 2503.14476; dual clip 1912.09729; rho per response: GSPO 2507.18071)
    capped   -stop_gradient(min(rho, cap)) A log pi              (CISPO, MiniMax-M1 2506.13585)
    nll      -A log pi                                           (behaviour cloning, A = 1)
"""

import torch
from torch import Tensor

LARGEST_LOG_RATIO = 20.0
"""Bound of log(ref / pi) in the KL estimate: beyond it exp would be 5e8 and more, and soon infinite."""


def clipped(log_ratio: Tensor, advantages: Tensor, *, low: float, high: float, dual: float | None = None) -> Tensor:
    """(B, T) `-min(rho A, clip(rho, 1 - low, 1 + high) A)`, and for negative A not above `-dual A` (dual-clip PPO).

    With low = high = 0.2 and dual = 3: rho 2 gives -1.2 for A = 1, 2 for A = -1; rho 9 gives 3 for A = -1.
    """
    ratio = log_ratio.exp()
    worst = torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)
    if dual is not None:
        worst = torch.where(advantages < 0, torch.maximum(worst, dual * advantages), worst)
    return -worst


def capped(log_ratio: Tensor, logprobs: Tensor, advantages: Tensor, *, cap: float) -> Tensor:
    """(B, T) `-min(rho, cap) A log pi`, the weight detached. With cap = 5, rho = 9, A = 2, log pi = -1: 10."""
    weight = log_ratio.exp().clamp(max=cap).detach()
    return -(weight * advantages * logprobs)


def nll(logprobs: Tensor, advantages: Tensor) -> Tensor:
    """(B, T) `-A log pi`. Equal to `capped` at a ratio of 1."""
    return -(advantages * logprobs)


def sequence_log_ratio(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """Mean of `log_ratio` over a response's unmasked tokens, at each of them: the logarithm of GSPO's ratio.

    Ratios [2, 8] of a response give 4 for both tokens. The gradient of the response's loss reaches every token.
    """
    tokens = mask.sum(-1, keepdim=True).clamp(min=1).to(log_ratio.dtype)
    return ((log_ratio * mask).sum(-1, keepdim=True) / tokens).expand_as(log_ratio)


def kl_estimate(logprobs: Tensor, reference: Tensor) -> Tensor:
    """(B, T) estimate k3 of KL(pi || ref): `r - 1 - log r` with r = ref / pi (GRPO 2402.03300, equation 4).

    Never negative, and 0 where both agree; log r is bounded by 20. With log pi = -1 and log ref = -2: 0.368.
    """
    log_ratio = (reference - logprobs).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    return log_ratio.exp() - 1 - log_ratio
