"""A trained policy -> its version on disk, with its canary, report and optimiser state; checked before it gets its name."""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import torch

from training import failpoints
from training.checkpointing.baselines import write_baselines
from training.checkpointing.canary import FILE as CANARY_FILE
from training.checkpointing.canary import Canary
from training.checkpointing.checkpoints import write_checkpoint
from training.checkpointing.recipe import Recipe
from training.learning import lora
from training.learning.divergence import require_sound
from training.learning.models import LoadedPolicy
from training.learning.processes import ranks
from training.learning.report import FILE as REPORT_FILE
from training.learning.report import UpdateReport
from training.learning.update_inputs import Batch, Request
from training.learning.writing import write_policy
from training.sampling.samples import Sample

SAMPLES_FILE = "samples.jsonl"


class Trained(NamedTuple):
    """All that a version is made of, besides the batch."""

    policy: LoadedPolicy
    """With an adapter that is merged, if one was trained."""
    optimizer: torch.optim.Optimizer
    canary: Canary
    report: UpdateReport
    samples: str
    """Digest of the samples before any was left out."""
    recipe: Recipe
    learned_from: Sequence[Sample]
    """The samples themselves."""


def write_version(request: Request, batch: Batch, trained: Trained) -> None:
    """Writes the version; the policy can't be trained on afterwards.

    Processes that share the weights all call this, and the first writes. Raises Diverged for numbers that are not finite,
    CheckpointError for a full disk.
    """
    failpoints.reach("update.before_write")
    parent = batch.parent
    with ExitStack() as stack:
        folder = None
        if ranks.is_first():
            version = write_checkpoint(
                request.policies,
                request.version,
                parent=parent.version,
                step=parent.step + trained.report.steps,
                samples=trained.samples,
                recipe=trained.recipe,
            )
            folder = stack.enter_context(version)
        _write_model(request, batch, trained, folder)
        if folder is not None:
            if batch.selection.baselines:
                write_baselines(folder, batch.selection.baselines)
            require_sound(folder, request.version)
            (folder / CANARY_FILE).write_text(trained.canary.model_dump_json())
            (folder / REPORT_FILE).write_text(trained.report.model_dump_json())
            write_sample_list(trained.learned_from, folder / SAMPLES_FILE)


def write_sample_list(samples: Iterable[Sample], path: Path) -> None:
    """Writes a line of JSON per sample: its trajectory and step, the version that sampled it, its advantage and tokens."""
    with path.open("w") as file:
        for one in samples:
            line = {
                "trajectory": one.trajectory_id,
                "step": one.step,
                "policy_version": one.policy_version,
                "advantage": one.advantage,
                "tokens": len(one.token_ids),
            }
            file.write(json.dumps(line) + "\n")


def _write_model(request: Request, batch: Batch, trained: Trained, folder: Path | None) -> None:
    model, optimizer = trained.policy.model, trained.optimizer if batch.config.carry_optimizer else None
    if batch.config.lora:
        model, optimizer = lora.write_adapter(trained.policy, optimizer, folder, request.policies), None
    write_policy(model, batch.parent.path, folder, optimizer=optimizer)
