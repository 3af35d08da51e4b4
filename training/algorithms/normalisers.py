"""Normalisers: the weight of a response's tokens, and the divisor of an optimiser step's sum."""

from typing import Literal

from torch import Tensor

Normaliser = Literal["tokens", "constant", "trajectory", "turn"]


def token_weights(normaliser: Normaliser, mask: Tensor, weights: Tensor) -> Tensor:
    """(B, 1) factor of each response's tokens, by its mask (B, T) and its sample's weight (B,).

    `turn` divides by the response's number of tokens; the others only have the sample's weight, which is 1 / turns of the
    trajectory for `trajectory`, and 1 else.
    """
    factor = weights[:, None]
    return factor / mask.sum(-1, keepdim=True).clamp(min=1) if normaliser == "turn" else factor


def divisor(normaliser: Normaliser, *, tokens: int, responses: int, constant: float) -> float:
    """Divisor of the sum over all tokens of an optimiser step.

    tokens, trajectory  its tokens (DAPO 2503.14476; AsyncWebRL)
    constant            its responses times `constant` (Dr. GRPO 2503.20783). Where optimiser steps have about as many
                        tokens this is `tokens` times a constant, which Adam does not see
    turn                its responses (a mean of means, GRPO 2402.03300)

    Example: 3 responses of 200 tokens in all: 200, 300 with a constant of 100, and 3.
    """
    match normaliser:
        case "constant":
            return responses * constant
        case "turn":
            return responses
        case _:
            return tokens
