"""Losses, weights and divisors of tokens, each with numbers by hand."""

import math

import pytest
import torch

from training.algorithms import behaviour, losses
from training.algorithms.normalisers import Normaliser, divisor, token_weights


def logs(*ratios: float) -> torch.Tensor:
    return torch.tensor([ratios]).log()


def test_the_clip_is_symmetric_asymmetric_and_dual() -> None:
    good, bad = torch.ones(1, 3), -torch.ones(1, 3)
    ratios = logs(0.5, 1.25, 9.0)
    assert losses.clipped(ratios, good, low=0.2, high=0.2).tolist() == [pytest.approx([-0.5, -1.2, -1.2])]
    assert losses.clipped(ratios, good, low=0.2, high=0.28).tolist() == [pytest.approx([-0.5, -1.25, -1.28])]
    assert losses.clipped(ratios, bad, low=0.2, high=0.2).tolist() == [pytest.approx([0.8, 1.25, 9.0])]
    assert losses.clipped(ratios, bad, low=0.2, high=0.2, dual=3.0).tolist() == [pytest.approx([0.8, 1.25, 3.0])]
    assert losses.clipped(ratios, good, low=0.2, high=0.2, dual=3.0).tolist() == [pytest.approx([-0.5, -1.2, -1.2])]


def test_a_token_beyond_the_dual_clip_has_no_gradient() -> None:
    ratios = logs(2.9, 3.1).requires_grad_()
    losses.clipped(ratios, -torch.ones(1, 2), low=0.2, high=0.2, dual=3.0).sum().backward()
    assert ratios.grad is not None and ratios.grad.tolist() == [pytest.approx([2.9, 0.0])]


def test_capped_and_likelihood() -> None:
    logprobs = torch.full((1, 2), -1.0, requires_grad=True)
    found = losses.capped(logs(9.0, 2.0), logprobs, torch.full((1, 2), 2.0), cap=5.0)
    assert found.tolist() == [pytest.approx([10.0, 4.0])]
    found.sum().backward()
    assert logprobs.grad is not None and logprobs.grad.tolist() == [pytest.approx([-10.0, -4.0])]
    at_one = losses.capped(logs(1.0), torch.tensor([[-0.7]]), torch.ones(1, 1), cap=5.0)
    assert losses.nll(torch.tensor([[-0.7]]), torch.ones(1, 1)).tolist() == at_one.tolist() == [[pytest.approx(0.7)]]


def test_the_ratio_of_a_response_is_the_geometric_mean_of_its_tokens() -> None:
    ratio = losses.sequence_log_ratio(logs(2.0, 8.0, 100.0), torch.tensor([[1, 1, 0]])).exp()
    assert ratio[0, :2].tolist() == pytest.approx([4.0, 4.0])
    assert losses.sequence_log_ratio(logs(2.0), torch.tensor([[0]])).tolist() == [[0.0]]


def test_the_kl_estimate() -> None:
    pi, ref = torch.tensor([[-1.0, -1.0, -1.0]]), torch.tensor([[-2.0, -1.0, 99.0]])
    found = losses.kl_estimate(pi, ref)[0].tolist()
    assert found[:2] == pytest.approx([math.exp(-1) - 1 + 1, 0.0])
    assert math.isfinite(found[2])


def test_the_proximal_policy_between_two_versions() -> None:
    now, sampled = torch.full((3, 1), -1.0), torch.full((3, 1), -2.0)
    found = behaviour.interpolated(now, sampled, torch.tensor([0.0, 1.0, 3.0]))
    assert found[:, 0].tolist() == pytest.approx([-2.0, -1.5, -1.25])


@pytest.mark.parametrize(
    ("how", "keep", "weight", "capped"),
    [
        ("mask", [1, 0, 1], [2, 5, 0.1], [False, True, False]),
        ("clamp", [1, 1, 1], [2, 5, 0.1], [False, True, False]),
        ("sequence", [1, 1, 1], [1.2, 1.2, 1.2], [False, False, False]),
    ],
)
def test_weights_of_old_tokens(how: str, keep: list[int], weight: list[float], capped: list[bool]) -> None:
    """Weights of 2, 6 and 0.1 with a bound of 5; their product is 1.2. A fourth token is padding."""
    proximal = torch.cat([logs(2.0, 6.0, 0.1), torch.tensor([[math.inf]])], dim=1)
    found = behaviour.decoupled(
        proximal,
        torch.zeros(1, 4),
        torch.tensor([[1, 1, 1, 0]]),
        how=how,  # ty: ignore[invalid-argument-type]
        max_ratio=5.0,
    )
    assert found.keep[0, :3].tolist() == keep
    assert found.weight[0, :3].tolist() == pytest.approx(weight)
    assert found.capped[0, :3].tolist() == capped
    assert torch.isfinite(found.weight).all()


def test_a_product_beyond_the_bound_is_truncated_for_the_whole_response() -> None:
    found = behaviour.decoupled(logs(2.0, 6.0), torch.zeros(1, 2), torch.ones(1, 2), how="sequence", max_ratio=5.0)
    assert found.weight.tolist() == [pytest.approx([5.0, 5.0])]


def test_the_guard_masks_and_has_no_weight() -> None:
    found = behaviour.guarded(logs(0.1, 1.0, 6.0), max_ratio=5.0)
    assert found.keep.tolist() == [[0, 1, 0]] and found.weight.tolist() == [[1, 1, 1]]
    assert found.capped.tolist() == [[True, False, True]]


def test_divisors_and_weights_by_hand() -> None:
    tokens, responses, constant = 200, 3, 100.0
    names: list[Normaliser] = ["tokens", "constant", "trajectory", "turn"]
    found = [divisor(name, tokens=tokens, responses=responses, constant=constant) for name in names]
    assert found == [200, 300, 200, 3]
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
    weights = torch.tensor([1.0, 0.5, 1.0])
    assert token_weights("turn", mask, weights)[:, 0].tolist() == [0.25, 0.25, 1.0]
    assert token_weights("tokens", mask, weights)[:, 0].tolist() == [1.0, 0.5, 1.0]
