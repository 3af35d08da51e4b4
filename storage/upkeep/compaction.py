"""Compaction: folders and pictures of a finished stage become one pack; files that no trajectory refers to are deleted.

Films and traces stay beside the pack, in the folders of their trajectories: they are large, and already compressed.

Safe to kill at any moment: the pack is complete before the first file is deleted, and a second run continues.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from storage.packs import PACK, Member, write_pack
from storage.recordings.recorded import recorded_in
from storage.store import IMAGES, STEPS, TRAJECTORY, TrajectoryStore, pictures_of, suffix_of


class Compacted(NamedTuple):
    """Result of compacting one stage folder."""

    trajectories: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compact(root: Path) -> Compacted:
    """Packs a stage folder that has no writers any more.

    Raises `storage.store.CorruptTrajectory` or FileNotFoundError if a file cannot be read, and OSError when the disk is
    full: then nothing is deleted.
    """
    store = TrajectoryStore(root)
    files_before, bytes_before = _extent(root)
    ids = store.ids()
    if any((root / name / TRAJECTORY).is_file() for name in ids):
        write_pack(root / PACK, _members(store, ids))
    _remove_loose(root)
    files_after, bytes_after = _extent(root)
    return Compacted(len(ids), files_before, files_after, bytes_before, bytes_after)


def _members(store: TrajectoryStore, ids: list[str]) -> Iterator[Member]:
    pictures: set[str] = set()
    for name in ids:
        trajectory = store.read(name)
        pictures |= pictures_of(trajectory)
        yield Member(f"{name}/{TRAJECTORY}", trajectory.model_dump_json().encode(), compress=True)
    for sha256 in sorted(pictures):
        if store.lacks_pictures and not store.has_image(sha256):
            continue
        data = store.image(sha256)
        yield Member(f"{IMAGES}/{sha256[:2]}/{sha256}{suffix_of(data)}", data, compress=False)


def _remove_loose(root: Path) -> None:
    """Deletes the packed files, half-played episodes, and partial files of interrupted writes."""
    packed = set(TrajectoryStore(root).ids())
    for folder in [path for path in root.iterdir() if path.is_dir()]:
        recorded = recorded_in(folder)
        if folder.name in packed and recorded:
            for path in set(folder.iterdir()) - set(recorded):
                path.unlink()
            continue
        left = {path.name for path in folder.iterdir()} - {STEPS} - {path.name for path in recorded}
        if folder.name in packed or folder.name == IMAGES or all(name.endswith(".partial") for name in left):
            shutil.rmtree(folder)
    for partial in root.glob(".*.partial"):
        partial.unlink()


def _extent(root: Path) -> tuple[int, int]:
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)
