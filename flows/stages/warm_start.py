"""The command line of a warm start: a policy is fine-tuned on the best trajectories of a run (`training.sft`)."""

import sys
from pathlib import Path
from typing import NamedTuple

from flows.settings.run_folder import RunFolder
from flows.stages.learned_set import verdicts_to_learn
from storage.errors import LoopError
from storage.stages import Stage
from training.checkpointing.checkpoints import checkpoint_path


class Imitation(NamedTuple):
    """Settings of a warm start."""

    best: int = 1
    """Successes of each task, the shortest first."""
    epochs: int = 1
    """Passes over their steps."""
    learning_rate: float = 1e-6
    minibatches: int = 16
    """Optimiser steps per pass."""


def sft_command(folder: RunFolder, to: Path, policy: Path | None, settings: Imitation) -> list[str]:
    """The command that writes the folder `to`. `policy`: folder to begin with; None: the run's first version.

    Raises `LoopError` when no iteration of the run is judged.
    """
    iterations = [number for number in range(1, folder.config.iterations + 1) if folder.is_done(number, Stage.JUDGE)]
    if not iterations:
        raise LoopError(f"{folder.name} has no judged iteration; there is nothing to imitate")
    update, first = folder.config.update, checkpoint_path(folder.policies, 0)
    command = [sys.executable, "-m", "training.sft", "--to", str(to), "--policy", str(policy or first)]
    command += ["--device", update.device, "--micro-batch-size", str(update.micro_batch_size)]
    command += ["--best", str(settings.best), "--epochs", str(settings.epochs)]
    command += ["--minibatches", str(settings.minibatches), "--learning-rate", str(settings.learning_rate)]
    command += ["--seed", str(folder.config.seed)]
    for number in iterations:
        command += ["--played", str(folder.stage_dir(number, Stage.ROLLOUT)), str(verdicts_to_learn(folder, number))]
    return command
