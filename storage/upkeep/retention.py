"""Retention by age: removes old pictures and recordings of a finished stage folder.

Trajectories, verdicts and reports always stay. Safe to kill at any moment: a second run continues.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from storage.atomic import write_atomically
from storage.packs import PACK, Member, open_pack, write_pack
from storage.recordings.recorded import recorded_in
from storage.store import IMAGES, PICTURES_REMOVED, TRAJECTORY, TrajectoryStore, pictures_of

DAY_S = 86_400.0


class KeepConfig(BaseModel):
    """How long pictures and recordings are kept. Trajectories and verdicts are kept for ever.

    What a person has judged stays as a whole, and so does what an update still needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pictures_days: Annotated[float | None, Field(gt=0, le=100_000)] = None
    """Days after which the screenshots of finished episodes are removed; null: never. Without them an episode can be
    read, but neither judged by its pictures nor trained on again."""
    recordings_days: Annotated[float | None, Field(gt=0, le=100_000)] = None
    """Days after which films, traces and logs of requests are removed; null: never."""

    def expired(self, ended_at: float, now: float) -> "Expired":
        """What goes of episodes that ended at `ended_at`, both in seconds of the epoch."""
        days = (now - ended_at) / DAY_S
        return Expired(
            pictures=self.pictures_days is not None and days > self.pictures_days,
            recordings=self.recordings_days is not None and days > self.recordings_days,
        )


class Expired(NamedTuple):
    """The kinds of files whose time is over."""

    pictures: bool
    recordings: bool


class Spared(NamedTuple):
    """Exceptions: trajectories that stay as a whole, and single pictures by their hash."""

    trajectories: Collection[str] = ()
    pictures: Collection[str] = ()


class Freed(NamedTuple):
    """Result for one folder. Example: `Freed(pictures=120, recordings=4, size=35_000_000)`."""

    pictures: int = 0
    recordings: int = 0
    size: int = 0
    """Bytes; files that another run has, too (a fork), free none."""


def remove_expired(root: Path, expired: Expired, spared: Spared, *, dry_run: bool = False) -> Freed:
    """Removes the expired files of a stage folder without writers; with `dry_run` only counts them.

    Raises `storage.store.CorruptTrajectory`, and OSError when the disk is full: then nothing is lost.
    """
    pictures = _remove_pictures(root, spared, dry_run) if expired.pictures else Freed()
    recordings = _remove_recordings(root, spared.trajectories, dry_run) if expired.recordings else Freed()
    return Freed(pictures.pictures, recordings.recordings, pictures.size + recordings.size)


def _remove_recordings(root: Path, spared: Collection[str], dry_run: bool) -> Freed:
    folders = [path for path in root.glob("*/") if path.name != IMAGES and path.name not in spared]
    files = [path for folder in folders for path in recorded_in(folder)]
    size = _unlink(files, dry_run)
    if not dry_run:
        for folder in {path.parent for path in files}:
            with suppress(OSError):  # empty where the trajectory is in the pack
                folder.rmdir()
    return Freed(recordings=len(files), size=size)


def _remove_pictures(root: Path, spared: Spared, dry_run: bool) -> Freed:
    store, pack = TrajectoryStore(root), open_pack(root / PACK)
    kept = set(spared.pictures).union(
        *(pictures_of(store.read(name)) for name in spared.trajectories if store.has(name))
    )

    def goes(name: str) -> bool:
        return Path(name).stem not in kept

    loose = [path for path in (root / IMAGES).glob("*/*") if goes(path.name)]
    packed = [name for name in pack.names() if name.startswith(f"{IMAGES}/") and goes(name)]
    if not loose and not packed:
        return Freed()
    size = sum(pack.size(name) for name in packed)
    if not dry_run:
        # First, so that a check after a crash knows why pictures are missing.
        note = f'{{"removed_at": "{datetime.now(UTC).isoformat(timespec="seconds")}"}}'
        write_atomically(root / PICTURES_REMOVED, note.encode())
        if packed:
            write_pack(root / PACK, _others(root, set(packed)))
    return Freed(pictures=len(loose) + len(packed), size=size + _unlink(loose, dry_run))


def _others(root: Path, removed: Collection[str]) -> Iterator[Member]:
    pack = open_pack(root / PACK)
    for name in sorted(set(pack.names()) - set(removed)):
        yield Member(name, pack.read(name), compress=name.endswith(TRAJECTORY))


def _unlink(files: Collection[Path], dry_run: bool) -> int:
    """Removes files; returns the bytes that this frees."""
    freed = 0
    for path in files:
        status = path.stat()
        freed += status.st_size if status.st_nlink == 1 else 0
        if not dry_run:
            path.unlink(missing_ok=True)
    return freed
