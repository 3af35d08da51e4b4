"""Liger kernels (arXiv 2410.10989): fused Triton kernels for norms, rotary embeddings and MLPs, on a GPU where they are installed."""

from typing import Any

from training.config import UpdateConfig
from training.learning.models import LoadedPolicy

WITHOUT_LOSSES = {"cross_entropy": False, "fused_linear_cross_entropy": False}
"""The loss is this package's own and needs logits."""


def use_liger(policy: LoadedPolicy, config: UpdateConfig) -> bool:
    """Replaces layers of the model in place, if there is a GPU and the package `liger-kernel`. True if it was asked to.

    Liger leaves a model of an architecture that it does not know as it is, and says so in the log.
    """
    if not config.liger or policy.device.type != "cuda":
        return False
    from transformers.integrations import liger

    if not liger.is_liger_kernel_available():
        return False
    model: Any = policy.model
    liger.apply_liger_kernel(model, WITHOUT_LOSSES)
    return True
