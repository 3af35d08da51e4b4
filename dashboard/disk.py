"""Disk space of a folder of trajectories, and the removal of old recordings and pictures of rollouts by hand."""

import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.database.states import ACTIVE
from dashboard.database.tables import RolloutRow
from storage.recordings.recorded import FILE as RECORDED
from storage.recordings.recorded import recorded_in, remove_recorded
from storage.store import IMAGES, TrajectoryStore, pictures_in, pictures_of

MOST_FILES = 200_000
"""Files of a folder beyond which its size is not counted on; the size is then too small."""


REMEMBERED_S = 60.0


class Usage(NamedTuple):
    """Bytes in a folder."""

    total: int
    pictures: int
    recordings: int


def usage(folder: Path) -> Usage:
    """Bytes of the files in a folder, counted at most once a minute."""
    return _usage(folder, int(time.monotonic() // REMEMBERED_S))


@lru_cache(maxsize=1_000)
def _usage(folder: Path, minute: int) -> Usage:
    """Links are not followed; files that vanish meanwhile are left out."""
    total = pictures = recordings = 0
    for number, entry in enumerate(_files(folder)):
        if number >= MOST_FILES:
            break
        try:
            size = entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
        total += size
        if RECORDED.fullmatch(entry.name):
            recordings += size
        elif f"{os.sep}{IMAGES}{os.sep}" in entry.path:
            pictures += size
    return Usage(total, pictures, recordings)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue


def remove_old_recordings(session: Session, rollouts: Path, days: float) -> int:
    """Removes films, traces and logs of requests of rollouts by hand that ended more than `days` ago; returns of how many.

    Steps, pictures and verdicts stay. What a person has judged stays as a whole: somebody may want to see why.
    """
    removed = 0
    for rollout_id in _old(session, days):
        if recorded_in(rollouts / rollout_id):
            remove_recorded(rollouts / rollout_id)
            removed += 1
    return removed


def remove_old_pictures(session: Session, rollouts: Path, days: float) -> int:
    """Removes pictures that no rollout by hand shows but those that ended more than `days` ago; returns how many.

    Steps and verdicts stay, and so does what a person has judged, as a whole. While one is played nothing is removed: it
    may be about to show one of them again.
    """
    if session.scalar(select(RolloutRow.id).where(RolloutRow.source == "hand", RolloutRow.status.in_(ACTIVE)).limit(1)):
        return 0
    old, store = _old(session, days), TrajectoryStore(rollouts)
    there = {sha256 for name in old for sha256 in _pictures(store, name) if store.has_image(sha256)}
    if there:
        others = {path.name for path in rollouts.glob("*/") if path.name != IMAGES} - old
        there = there.difference(*(_pictures(store, name) for name in others))
    for sha256 in there:
        store.image_path(sha256).unlink(missing_ok=True)
    return len(there)


def _old(session: Session, days: float) -> set[str]:
    """Rollouts by hand that ended more than `days` ago, and that no person has judged."""
    old = (RolloutRow.completed_at < time.time() - days * 86_400, RolloutRow.human.is_(None))
    return set(session.scalars(select(RolloutRow.id).where(RolloutRow.source == "hand", *old)))


def _pictures(store: TrajectoryStore, rollout_id: str) -> set[str]:
    """The pictures that a rollout shows, also one that broke off."""
    return pictures_of(store.read(rollout_id)) if store.has(rollout_id) else pictures_in(store.steps_so_far(rollout_id))
