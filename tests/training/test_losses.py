"""The guard and the measures, on numbers small enough to check by hand."""

import math

import pytest
import torch

from training.algorithms.behaviour import ratio_guard
from training.algorithms.loss_settings import LossSettings
from training.algorithms.objective import Tokens, objective
from training.learning.token_metrics import means, token_sums


def test_the_guard_keeps_ratios_within_its_range() -> None:
    sampled = torch.zeros(1, 5)
    logprobs = torch.tensor([[0.0, 4.9, 5.1, 0.21, 0.19]])
    logprobs[0, 1:] = logprobs[0, 1:].log()
    assert ratio_guard(logprobs, sampled, max_ratio=5).tolist() == [[1, 1, 0, 1, 0]]


def test_sums_count_only_what_is_masked_in() -> None:
    tokens = Tokens(
        logprobs=torch.tensor([[1.0, 2.0, 0.5, 9.0]]).log(),
        entropies=torch.tensor([[1.0, 2.0, 3.0, 100.0]]),
        sampled=torch.zeros(1, 4),
        advantages=torch.tensor([[1.0, 1.0, -1.0, 1.0]]),
        mask=torch.tensor([[1, 1, 1, 0]]),
        weights=torch.ones(1),
        lags=torch.tensor([2.0]),
    )
    sums = token_sums(tokens, objective(tokens, LossSettings(max_ratio=1.9)), low=0.2, high=0.28)
    expected_kl = (2 - 1 - math.log(2)) + (0.5 - 1 + math.log(2))
    assert sums == pytest.approx(
        {
            "tokens": 3,
            "ratio": 3.5,
            "kl": expected_kl,
            "kl_reference": 0,
            "entropy": 6,
            "clip_low": 1,
            "clip_high": 1,
            "guarded": 2,  # ratios of 2 and of 1 / 2
            "capped_positive": 1,
            "capped_negative": 1,
            "lag": 6,
        }
    )


def test_means_weigh_by_tokens() -> None:
    assert means([{"tokens": 1, "kl": 1.0}, {"tokens": 3, "kl": 1.0}]) == {"tokens": 4, "kl": 0.5}
    assert means([]) == {}
