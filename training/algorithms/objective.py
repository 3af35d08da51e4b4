"""The loss of a micro batch, composed from the settings: ratio, treatment of old tokens, clip, normaliser, KL, entropy."""

from typing import NamedTuple

import torch
from torch import Tensor

from training.algorithms import behaviour, losses
from training.algorithms.behaviour import Behaviour
from training.algorithms.loss_settings import LossSettings
from training.algorithms.normalisers import token_weights


class Tokens(NamedTuple):
    """The sampled tokens of B responses, right-padded to T."""

    logprobs: Tensor
    """(B, T) under the trained policy, with gradient."""
    entropies: Tensor
    """(B, T) in nats; with gradient where there is an entropy bonus."""
    sampled: Tensor
    """(B, T) log-probabilities under the policy that sampled."""
    advantages: Tensor
    """(B, T)."""
    mask: Tensor
    """(B, T) 1 for tokens, 0 for padding."""
    weights: Tensor
    """(B,) weight of each sample."""
    lags: Tensor
    """(B,) age of each sample in versions, relative to the parent."""
    proximal: Tensor | None = None
    """(B, T) log-probabilities under the parent, for `proximal_policy: recomputed`."""
    reference: Tensor | None = None
    """(B, T) log-probabilities under the reference, where there is a KL term."""


class Objective(NamedTuple):
    """A micro batch's part of the loss, and what its metrics need."""

    total: Tensor
    """Sum over the tokens, not yet divided by `normalisers.divisor`."""
    log_ratio: Tensor
    """(B, T) logarithm of the ratio that the loss clips or caps, without gradient."""
    treatment: Behaviour
    kl: Tensor
    """(B, T) KL estimate to the reference; zeros without one."""


def objective(tokens: Tokens, settings: LossSettings) -> Objective:
    """The sum over all unmasked tokens of the loss that `settings` describe. Masked tokens may hold any number."""
    mask, now = tokens.mask, tokens.logprobs.detach()
    proximal = _proximal(tokens, now, settings)
    difference = _where(mask, tokens.logprobs - proximal)
    if settings.loss_type == "gspo":
        difference = losses.sequence_log_ratio(difference, mask)
    treatment = _treatment(difference.detach(), proximal, tokens, settings)
    kept = mask * treatment.keep
    per_token = _per_token(_where(kept, difference), tokens, settings) * treatment.weight
    weights = token_weights(settings.normaliser, mask, tokens.weights)
    total = (_where(kept, per_token) * kept * weights).sum()
    kl = torch.zeros_like(now)
    if settings.kl_coefficient:
        assert tokens.reference is not None, "a KL term needs the reference's log-probabilities"
        kl = _where(mask, losses.kl_estimate(tokens.logprobs, tokens.reference))
        total = total + settings.kl_coefficient * (kl * mask * weights).sum()
    if settings.entropy_coefficient:
        total = total - settings.entropy_coefficient * (_where(mask, tokens.entropies) * mask * weights).sum()
    return Objective(total, difference.detach(), treatment, kl.detach())


def _proximal(tokens: Tokens, now: Tensor, settings: LossSettings) -> Tensor:
    match settings.proximal_policy:
        case "recomputed":
            assert tokens.proximal is not None, "the parent's log-probabilities are computed before the first step"
            return tokens.proximal
        case "interpolated":
            return behaviour.interpolated(now, tokens.sampled, tokens.lags)
        case "sampling":
            return tokens.sampled


def _treatment(log_ratio: Tensor, proximal: Tensor, tokens: Tokens, settings: LossSettings) -> Behaviour:
    if settings.loss_type == "cispo":
        bound = torch.log(torch.tensor(settings.max_ratio))
        return behaviour.no_treatment(log_ratio)._replace(capped=log_ratio > bound)
    if settings.loss_type == "nll":
        return behaviour.no_treatment(log_ratio)
    if settings.proximal_policy == "sampling":
        return behaviour.guarded(log_ratio, max_ratio=settings.max_ratio)
    return behaviour.decoupled(
        proximal, tokens.sampled, tokens.mask, how=settings.behaviour_weight, max_ratio=settings.max_ratio
    )


def _per_token(log_ratio: Tensor, tokens: Tokens, settings: LossSettings) -> Tensor:
    match settings.loss_type:
        case "cispo":
            return losses.capped(log_ratio, tokens.logprobs, tokens.advantages, cap=settings.max_ratio)
        case "nll":
            return losses.nll(tokens.logprobs, tokens.advantages)
        case "dapo" | "gspo":
            low, high = settings.clip_low, settings.clip_high
            return losses.clipped(log_ratio, tokens.advantages, low=low, high=high, dual=settings.dual_clip)


def _where(mask: Tensor, values: Tensor) -> Tensor:
    """The values of unmasked tokens, 0 elsewhere: infinity times 0 is not a number."""
    return torch.where(mask > 0, values, torch.zeros_like(values))
