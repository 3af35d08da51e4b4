"""The command line of a warm start: a policy is fine-tuned on the best trajectories of a run (`training.sft`)."""

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from agent.prompting.tokenizer_files import TokenizerUnreadable
from flows.settings.run_folder import RunFolder
from flows.stages.demonstrations import write_demonstrations
from flows.stages.learned_set import verdicts_to_learn
from storage.errors import LoopError
from storage.stages import Stage
from storage.store import CorruptTrajectory
from training.checkpointing.checkpoints import checkpoint_path
from training.errors import UpdateError

logger = logging.getLogger(__name__)


class Imitation(NamedTuple):
    """Settings of a warm start."""

    best: int = 1
    """Successes of each task, the shortest first."""
    epochs: int = 1
    """Passes over their steps."""
    learning_rate: float = 1e-6
    minibatches: int = 16
    """Optimiser steps per pass."""


@contextmanager
def sft_command(folder: RunFolder, to: Path, policy: Path | None, settings: Imitation) -> Generator[list[str]]:
    """The command that writes the folder `to`, to be run inside the block. `policy`: folder to begin with; None: version 0.

    Turns that have no tokens, of a script, a person or a vendor's model, are written beside it as demonstrations.
    Raises `LoopError` when no iteration of the run is judged, or what was played can't be read.
    """
    iterations = [number for number in range(1, folder.config.iterations + 1) if folder.is_done(number, Stage.JUDGE)]
    if not iterations:
        raise LoopError(f"{folder.name} has no judged iteration; there is nothing to imitate")
    update, begin = folder.config.update, policy or checkpoint_path(folder.policies, 0)
    command = [sys.executable, "-m", "training.sft", "--to", str(to), "--policy", str(begin)]
    command += ["--device", update.device, "--micro-batch-size", str(update.micro_batch_size)]
    command += ["--best", str(settings.best), "--epochs", str(settings.epochs)]
    command += ["--minibatches", str(settings.minibatches), "--learning-rate", str(settings.learning_rate)]
    command += ["--seed", str(folder.config.seed)]
    stages = [(folder.stage_dir(number, Stage.ROLLOUT), verdicts_to_learn(folder, number)) for number in iterations]
    for stage, verdicts in stages:
        command += ["--played", str(stage), str(verdicts)]
    with TemporaryDirectory(prefix="rl-loop-sft-") as scratch:
        file = Path(scratch, "demonstrations.jsonl")
        try:
            found = write_demonstrations(folder, stages, begin, file, best=settings.best)
        except (UpdateError, CorruptTrajectory, TokenizerUnreadable) as error:
            raise LoopError(str(error)) from error
        if found.left_out:
            logger.warning("%d turns are left out: no reply of this prompt means their action", found.left_out)
        yield [*command, "--demonstrations", str(file)] if found.turns else command
