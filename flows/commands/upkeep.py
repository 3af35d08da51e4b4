"""Maintenance of a run's trajectories: compaction of finished stages, retention by age."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from flows.settings.hints import on_run
from flows.settings.run_folder import RunFolder
from flows.stages.retention import StageFreed, remove_old_files
from storage.errors import LoopError
from storage.packs import CorruptPack
from storage.stages import Stage
from storage.store import CorruptTrajectory
from storage.upkeep.compaction import Compacted, compact
from storage.upkeep.retention import KeepConfig


def compact_run(folder: RunFolder) -> Iterator[tuple[Path, Compacted]]:
    """Packs the trajectories of every finished stage; yields each stage folder with its result.

    Raises `RunFolderError` while the run is being written, and `LoopError` for unreadable trajectories: then nothing of
    that stage is deleted.
    """
    with folder.lock():
        for directory in finished_stores(folder):
            try:
                yield directory, compact(directory)
            except (CorruptTrajectory, FileNotFoundError) as error:
                raise LoopError(f"{error}; {on_run('doctor', folder.root)} looks at all of them") from error


def prune_run(folder: RunFolder, keep: KeepConfig, *, dry_run: bool = False) -> list[StageFreed]:
    """Removes old pictures and recordings of finished stages, or only counts them; returns the folders that had some.

    Raises `RunFolderError` while the run is being written, and `LoopError` for a file that can't be read or removed.
    """
    with nullcontext() if dry_run else folder.lock():
        try:
            return list(remove_old_files(folder, keep, time.time(), dry_run=dry_run))
        except (CorruptTrajectory, CorruptPack, OSError) as error:
            raise LoopError(f"{error}; {on_run('doctor', folder.root)} looks at all files") from error


def finished_stores(folder: RunFolder) -> list[Path]:
    """The folders with trajectories of finished stages, in schedule order."""
    stages = ((iteration, stage) for iteration in range(folder.config.iterations + 1) for stage in Stage)
    return [
        folder.stage_dir(iteration, stage)
        for iteration, stage in stages
        if stage in (Stage.ROLLOUT, Stage.EVALUATE) and folder.is_done(iteration, stage)
    ]
