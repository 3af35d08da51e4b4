"""Decides about a version that exists already:

sound, and made from the same parent, samples and configuration   reused, nothing is trained
made from another parent, samples or configuration                rejected: a person decides which version is wanted
damaged, incomplete, with numbers that are not finite             set aside and made again, if it is the newest version
"""

import logging
from pathlib import Path

from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import Checkpoint, checkpoint_path, read_checkpoint, set_aside, versions
from training.checkpointing.recipe import Recipe, difference
from training.checkpointing.soundness import why_unsound
from training.errors import BadInput, CheckpointError
from training.learning.report import FILE as REPORT_FILE
from training.learning.report import UpdateReport, read_report

log = logging.getLogger("training.learning.update")


def made_before(policies: Path, version: int, *, parent: int, samples: str, recipe: Recipe) -> UpdateReport | None:
    """Report of the earlier, identical update that made `version`; None when there is none, or its checkpoint is not
    sound.

    Raises BadInput when the version was made from other inputs, CheckpointError when it is not sound and newer ones
    exist.
    """
    target = checkpoint_path(policies, version)
    if not target.exists():
        return None
    try:
        checkpoint = read_checkpoint(target)
        _refuse_others(checkpoint, parent=parent, samples=samples, recipe=recipe)
        report = _report_of_sound(checkpoint)
    except CheckpointError as error:
        if versions(policies)[-1] > version:
            raise
        place = set_aside(policies, version)
        log.warning("version %d is not sound: made again, the old one moved to %s: %s", version, place, error)
        return None
    log.info("version %d exists and was made from these samples: nothing to train", version)
    return with_checkpoint(report.model_copy(update={"reused": True}), checkpoint)


def with_checkpoint(report: UpdateReport, checkpoint: Checkpoint) -> UpdateReport:
    """Adds the checkpoint's path and time of writing to the report."""
    where = {"checkpoint": str(checkpoint.path), "checkpoint_written_at": checkpoint.created}
    return report.model_copy(update=where)


def _refuse_others(checkpoint: Checkpoint, *, parent: int, samples: str, recipe: Recipe) -> None:
    found: list[str] = []
    if (checkpoint.parent, checkpoint.samples) != (parent, samples):
        found.append(f"from version {checkpoint.parent} and other samples")
    if checkpoint.recipe is not None and (odd := difference(checkpoint.recipe, recipe)):
        found.append(f"with another recipe: {odd}")
    if found:
        raise BadInput(
            f"{checkpoint.path} exists already and was made {', and '.join(found)}; delete it to make it again"
        )


def _report_of_sound(checkpoint: Checkpoint) -> UpdateReport:
    """Returns the report inside a sound checkpoint. Raises CheckpointError for one that is not sound."""
    if why := why_unsound(checkpoint.path):
        raise CheckpointError(f"{checkpoint.path} is not sound: {why}")
    if read_canary(checkpoint.path) is None:
        raise CheckpointError(f"{checkpoint.path} has no canary, so that no server could be proved to serve it")
    try:
        return read_report(checkpoint.path / REPORT_FILE)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
