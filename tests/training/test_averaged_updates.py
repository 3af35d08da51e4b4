"""Updates whose gradients are averaged over processes (DDP), in the ways to compute that a large policy needs.

What DDP may do with the backward pass, recomputed activations and frozen weights change: a tensor that is ready twice, or never.
"""

from pathlib import Path

import pytest
from light_process import light_process
from test_sharded_updates import LORA, check_equal, make_together, story
from test_update import arguments, request_of

from training.learning.update import main
from training.learning.update_inputs import Request

__all__ = ["light_process", "request_of"]  # fixtures


@pytest.mark.chaos
@pytest.mark.parametrize("processes", [2, 3])
def test_recomputed_activations_and_adapters(request_of: Request, tmp_path: Path, processes: int) -> None:
    """One start for all. An adapter with recomputed activations is what configs/multi_node.yaml asks for."""
    stories = [
        story(request_of, "checkpointed", sharding="none", gradient_checkpointing=True, kl_coefficient=0.01),
        story(request_of, "adapter", sharding="none", lora=LORA),
        story(request_of, "both", sharding="none", lora=LORA, gradient_checkpointing=True),
        story(request_of, "tokens", sharding="none", gradient_checkpointing=True, micro_batch_tokens=200, epochs=2),
    ]
    make_together([one for each in stories for one in each.together], processes, tmp_path)
    for each in stories:
        for alone, together in zip(*each, strict=True):
            assert main(arguments(alone)) == 0
            check_equal(alone, together)
