"""Retention by age: what goes, what stays, and that readers know why a picture is missing."""

import hashlib
import os
from pathlib import Path

import pytest
from test_store import PICTURE, SHA256, trajectory

from storage.packs import PACK
from storage.store import TrajectoryStore
from storage.store_check import check_store
from storage.upkeep.compaction import compact
from storage.upkeep.retention import DAY_S, Expired, Freed, KeepConfig, Spared, remove_expired

ALL = Expired(pictures=True, recordings=True)
NAMES = ["i0001-a-m00", "i0001-a-m01"]
OTHER = b"\x89PNG a canary"
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()
FILM = b"a film"


@pytest.fixture
def store(tmp_path: Path) -> TrajectoryStore:
    """Two trajectories with films that share a picture, and a picture that belongs to a policy's canary."""
    store = TrajectoryStore(tmp_path)
    for name in NAMES:
        store.write(trajectory(name), {SHA256: PICTURE})
        (tmp_path / name / "video.webm").write_bytes(FILM)
    store.write_image(OTHER_SHA256, OTHER)
    return store


@pytest.mark.parametrize(
    ("keep", "expired"),
    [
        (KeepConfig(), Expired(False, False)),
        (KeepConfig(pictures_days=3), Expired(False, False)),
        (KeepConfig(pictures_days=1), Expired(True, False)),
        (KeepConfig(pictures_days=3, recordings_days=1.5), Expired(False, True)),
    ],
)
def test_each_kind_has_its_own_age(keep: KeepConfig, expired: Expired) -> None:
    assert keep.expired(ended_at=1_000.0, now=1_000.0 + 2 * DAY_S) == expired


@pytest.mark.parametrize("packed", [False, True])
def test_trajectories_stay_and_a_check_knows_why_pictures_are_missing(store: TrajectoryStore, packed: bool) -> None:
    if packed:
        compact(store.root)
    before = list(store)
    freed = remove_expired(store.root, ALL, Spared())
    assert freed.recordings == 2 and freed.pictures == (1 if packed else 2)
    assert list(store) == before and not store.has_image(SHA256)
    assert not any(store.root.rglob("*.webm"))
    assert check_store(store.root).problems == []
    assert remove_expired(store.root, ALL, Spared()) == Freed()
    compact(store.root)
    assert list(store) == before


@pytest.mark.parametrize("packed", [False, True])
def test_a_dry_run_counts_the_same_and_removes_nothing(store: TrajectoryStore, packed: bool) -> None:
    if packed:
        compact(store.root)
    counted = remove_expired(store.root, ALL, Spared(), dry_run=True)
    assert store.has_image(SHA256) and not store.lacks_pictures and len(list(store.root.rglob("*.webm"))) == 2
    assert remove_expired(store.root, ALL, Spared()) == counted
    assert counted.size >= 2 * len(FILM) + len(PICTURE)


@pytest.mark.parametrize("packed", [False, True])
def test_what_a_person_has_judged_stays_as_a_whole(store: TrajectoryStore, packed: bool) -> None:
    if packed:
        compact(store.root)
    remove_expired(store.root, ALL, Spared(trajectories=[NAMES[0], "gone"]))
    assert store.image(SHA256) == PICTURE
    assert [path.parent.name for path in store.root.rglob("*.webm")] == [NAMES[0]]
    assert (store.root / PACK).exists() == packed


def test_pictures_of_a_kept_policy_stay_and_a_forks_files_free_nothing(store: TrajectoryStore, tmp_path: Path) -> None:
    os.link(store.image_path(SHA256), tmp_path / "in a fork")
    freed = remove_expired(store.root, Expired(pictures=True, recordings=False), Spared(pictures=[OTHER_SHA256]))
    assert freed == Freed(pictures=1, recordings=0, size=0)
    assert store.image(OTHER_SHA256) == OTHER and not store.has_image(SHA256)
    assert len(list(store.root.rglob("*.webm"))) == 2
