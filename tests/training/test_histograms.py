"""Histograms of an update's report, and its speed on a GPU whose peak is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from storage.stages import Histogram
from training.config import UpdateConfig
from training.lean_imports import prepare
from training.learning import liger
from training.learning.histograms import of_advantages, of_gaps, of_lags, of_rewards
from training.learning.models import LoadedPolicy
from training.learning.speed import flops, peak_flops, speed
from training.sampling.samples import Sample

SAMPLE = Sample("t", 0, np.arange(6), np.arange(4), np.zeros(4, np.float32), 0.5, (), 3, 1.0)


def test_rewards_are_between_0_and_1_unless_they_leave_it() -> None:
    found = of_rewards([0.0, 0.0, 0.55, 1.0])
    assert found.edges[0] == 0 and found.edges[-1] == 1 and len(found.counts) == 10
    assert found.counts[0] == 2 and found.counts[5] == 1 and found.counts[-1] == 1
    assert of_rewards([-1.0]).edges[0] == -1


def test_advantages_are_drawn_as_far_below_0_as_above() -> None:
    found = of_advantages([SAMPLE, replace(SAMPLE, advantage=-2.0)])
    assert (found.edges[0], found.edges[-1]) == (-2.0, 2.0) and sum(found.counts) == 2 and found.counts[0] == 1
    assert sum(of_advantages([replace(SAMPLE, advantage=0.0)]).counts) == 1


def test_a_gap_above_every_bin_is_in_the_last_one() -> None:
    assert of_gaps([0.0, 5e-4, 99.0]).counts == (1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1)


def test_lags_count_tokens_by_age() -> None:
    assert of_lags([SAMPLE, replace(SAMPLE, policy_version=1)], parent=3).counts == (4, 0, 4)
    assert of_lags([replace(SAMPLE, policy_version=9)], parent=3).counts == (4,), "a version from the future has no age"


def test_a_histogram_has_an_edge_more_than_bins() -> None:
    with pytest.raises(ValidationError, match="2 bins need 3 edges, found 2"):
        Histogram(edges=(0, 1), counts=(1, 2))


def test_a_weight_without_gradient_needs_no_operations_for_one() -> None:
    model = torch.nn.Linear(3, 5, bias=False)
    assert flops(model, tokens=7) == 7 * 6 * 15
    assert flops(model.requires_grad_(False), tokens=7) == 7 * 4 * 15


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10G", 70e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA RTX A1000", None),
        ("Tesla T4", None),
    ],
)
def test_the_peak_of_a_gpu_is_known_by_its_name(device: str, peak: float | None) -> None:
    assert peak_flops(device) == peak


def test_a_gpu_with_a_known_peak_has_an_mfu_and_a_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(1000, 1000, bias=False)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert speed(model, [SAMPLE], epochs=2, seconds=4.0, device=cpu) == {"tokens_per_second": 5.0}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 5_000_000_000)
    found = speed(model, [SAMPLE] * 1000, epochs=2, seconds=4.0, device=gpu)
    assert found["gpu_peak_gb"] == 5.0
    assert found["mfu"] == pytest.approx(20_000 * 6e6 / (4 * 989e12))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    assert "mfu" not in speed(model, [SAMPLE], epochs=1, seconds=1.0, device=gpu)


@pytest.mark.parametrize(
    ("device", "installed", "wanted", "applied"),
    [("cuda", True, True, 1), ("cpu", True, True, 0), ("cuda", False, True, 0), ("cuda", True, False, 0)],
)
def test_liger_kernels_are_used_on_a_gpu_where_they_are_installed(
    device: str, installed: bool, wanted: bool, applied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the kernels of losses: this package's loss needs logits."""
    prepare()
    from transformers.integrations import liger as integration

    calls: list[tuple[object, dict[str, bool]]] = []
    monkeypatch.setattr(integration, "is_liger_kernel_available", lambda: installed)
    monkeypatch.setattr(integration, "apply_liger_kernel", lambda *arguments: calls.append(arguments))
    policy = LoadedPolicy(object(), None, torch.device(device), None)
    assert liger.use_liger(policy, UpdateConfig(liger=wanted)) is bool(applied)
    assert calls == [(policy.model, liger.WITHOUT_LOSSES)] * applied
