"""Disk space of a folder of trajectories, and the removal of old recordings of rollouts by hand."""

import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.database.tables import RolloutRow
from storage.recorded import FILE as RECORDED
from storage.recorded import recorded_in, remove_recorded
from storage.store import IMAGES

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
    old = (RolloutRow.completed_at < time.time() - days * 86_400, RolloutRow.human.is_(None))
    removed = 0
    for rollout_id in session.scalars(select(RolloutRow.id).where(RolloutRow.source == "hand", *old)):
        if recorded_in(rollouts / rollout_id):
            remove_recorded(rollouts / rollout_id)
            removed += 1
    return removed
