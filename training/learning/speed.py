"""Speed of the training phase: tokens per second, and the share of the GPU's arithmetic that they use (MFU)."""

import re
from collections.abc import Sequence

import torch

from training.sampling.samples import Sample
from training.settings import world_size

PEAK_FLOPS = {
    "B200": 2_250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense bfloat16 operations per second, from the vendor's data sheets.
The first name that is in a device's name, as whole words, counts."""


def speed(
    model: torch.nn.Module, samples: Sequence[Sample], *, epochs: int, seconds: float, device: torch.device
) -> dict[str, float]:
    """`tokens_per_second`; on a GPU `gpu_peak_gb` too, and `mfu` where its peak is known."""
    tokens = sum(len(sample) for sample in samples) * epochs
    found = {"tokens_per_second": tokens / max(seconds, 1e-9)}
    if device.type != "cuda":
        return found
    found["gpu_peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    if peak := peak_flops(torch.cuda.get_device_name(device)):
        found["mfu"] = flops(model, tokens) / (max(seconds, 1e-9) * peak * world_size())
    return found


def flops(model: torch.nn.Module, tokens: int) -> float:
    """Operations that training on so many tokens needs: 6 per weight and token, and 4 for a weight without gradient.

    The model FLOPs of PaLM (2204.02311, appendix B) without the term of attention: forward 2, gradient of the activations
    2, gradient of the weight 2. What activation checkpointing computes again does not count. Weights that are
    shared over processes count whole. A token of a picture counts as any other.
    """
    return float(tokens * sum((6 if one.requires_grad else 4) * one.numel() for one in model.parameters()))


def peak_flops(device: str) -> float | None:
    """The peak of a GPU by its name, None for an unknown one. Example: `NVIDIA H100 80GB HBM3` has 989e12."""
    return next((peak for name, peak in PEAK_FLOPS.items() if re.search(rf"\b{name}\b", device)), None)
