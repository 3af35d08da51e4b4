"""Settings of the loss: ratios, weights, clipping, normalisers and regularisers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from training.algorithms.ranges import NotNegative, Positive


class LossSettings(BaseModel):
    """The part of `update` that turns advantages and log-probabilities into a loss."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    loss_type: Literal["dapo", "cispo", "gspo", "nll"] = "dapo"
    """`dapo`: clipped ratio per token (PPO, GRPO). `cispo`: capped, detached ratio times log-probability. `gspo`: clipped
    ratio per response. `nll`: negative log-likelihood, for `credit: success`."""
    normaliser: Literal["tokens", "constant", "trajectory", "turn"] = "tokens"
    """Divisor of an optimiser step's sum over tokens. `tokens`: its number of tokens. `constant`: its number of responses
    times `normaliser_constant` (Dr. GRPO). `trajectory`: tokens, each token weighted by 1 / turns of its trajectory.
    `turn`: the mean over responses of the mean over their tokens."""
    normaliser_constant: Positive = 100.0
    """Tokens of a response, for `normaliser: constant`."""

    proximal_policy: Literal["sampling", "recomputed", "interpolated"] = "sampling"
    """Policy in the denominator of the clipped ratio. `sampling`: the one that sampled. `recomputed`: the parent, scored
    before the first step (decoupled PPO). `interpolated`: between the sampling and the trained policy, by age (A-3PO)."""
    behaviour_weight: Literal["mask", "clamp", "sequence"] = "mask"
    """Treatment of tokens whose ratio to the sampling policy is beyond `max_ratio`. `mask`: no gradient. `clamp`: the
    weight proximal / sampling is at most `max_ratio`. `sequence`: the same for the product over the response."""
    max_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 5.0
    """Bound of the ratio to the sampling policy. `dapo` and `gspo` mask tokens outside [1 / max_ratio, max_ratio], or as
    `behaviour_weight` says. `cispo` caps the ratio here and masks nothing: its weight is detached, so that no token's
    gradient can grow beyond the cap."""
    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The ratio is clipped below 1 - clip_low (dapo, gspo)."""
    clip_high: Positive = 0.28
    """The ratio is clipped above 1 + clip_high (dapo, gspo). Equal to `clip_low`: the symmetric clip of PPO."""
    dual_clip: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    """Largest ratio of a token with a negative advantage (dual-clip PPO); beyond it the token has no gradient."""

    max_staleness: Annotated[int, Field(ge=0)] = 4
    """Largest age, in versions, of a sample relative to the policy that it trains (partial rollouts); older samples are
    left out. The ratio to the stored log-probabilities corrects for the difference, and `max_ratio` masks tokens beyond
    it. No limit for `loss_type: nll`."""

    kl_coefficient: NotNegative = 0.0
    """Weight of the estimate of KL(policy || reference) in the loss. 0: no reference is loaded."""
    kl_reference: Literal["first", "parent"] = "first"
    """Reference of the KL term: version 0 of the run, or the policy that the update trains."""
    entropy_coefficient: NotNegative = 0.0
    """Weight of the entropy bonus."""
