"""Retention of a run: which finished stages `storage.keep` applies to, and what an update or a publish still needs."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flows.settings.run_folder import RunFolder
from storage.errors import LoopError
from storage.human_verdicts import HUMAN, latest, read_human
from storage.packs import CorruptPack
from storage.stages import Stage, StageKey
from storage.store import CorruptTrajectory
from storage.upkeep.retention import Expired, Freed, KeepConfig, Spared, remove_expired
from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import checkpoint_path, versions
from training.errors import CheckpointError

logger = logging.getLogger(__name__)


class StageFreed(NamedTuple):
    """A stage folder and what was removed there."""

    directory: Path
    freed: Freed


def apply_retention(folder: RunFolder, now: float) -> None:
    """Removes what `storage.keep` no longer keeps. A file that can't be removed costs a warning and stops no run."""
    try:
        for directory, freed in remove_old_files(folder, folder.config.storage.keep, now):
            logger.info("%s: removed %d pictures, %d recordings", directory, freed.pictures, freed.recordings)
    except (CorruptTrajectory, CorruptPack, LoopError, OSError) as error:
        logger.warning("%s: old pictures and recordings could not be removed: %s", folder.name, error)


def remove_old_files(folder: RunFolder, keep: KeepConfig, now: float, *, dry_run: bool = False) -> Iterator[StageFreed]:
    """Removes old pictures and recordings of finished stages; yields the folders where there were some.

    The caller has the folder's lock, or sets `dry_run`. Raises `CorruptTrajectory`, `CorruptPack`,
    `LoopError` (a file of people's verdicts, a canary) and OSError.
    """
    for key in _finished(folder):
        report = folder.report(*key)
        if report is None or not report.finished_at:
            continue
        expired = keep.expired(report.ended_at, now)
        if expired == Expired(False, False):
            continue
        directory = folder.stage_dir(*key)
        freed = remove_expired(directory, expired, _spared(folder, key), dry_run=dry_run)
        if freed != Freed():
            yield StageFreed(directory, freed)


def _finished(folder: RunFolder) -> list[StageKey]:
    """Finished evaluations, and the rollouts that no update needs any more, in schedule order."""
    iterations = range(folder.config.iterations + 1)
    updated = [one for one in iterations if folder.is_done(one, Stage.POLICY_UPDATE)]
    replayed_from = max(updated, default=0) + 1 - folder.config.update.replay_iterations
    return [
        StageKey(iteration, stage)
        for iteration in iterations
        for stage in (Stage.ROLLOUT, Stage.EVALUATE)
        if folder.is_done(iteration, stage)
        and (stage is Stage.EVALUATE or (iteration in updated and iteration < replayed_from))
    ]


def _spared(folder: RunFolder, key: StageKey) -> Spared:
    """What people have judged, and the pictures with which a kept policy is proved when it is served again."""
    judged = folder.stage_dir(key.iteration, Stage.JUDGE if key.stage is Stage.ROLLOUT else key.stage)
    pictures: set[str] = set()
    if key.stage is Stage.ROLLOUT and key.iteration in versions(folder.policies):
        try:
            canary = read_canary(checkpoint_path(folder.policies, key.iteration))
        except CheckpointError as error:
            raise LoopError(str(error)) from error
        pictures.update(*(one.images for one in canary.completions) if canary else ())
    return Spared(trajectories=set(latest(read_human(judged / HUMAN))), pictures=pictures)
