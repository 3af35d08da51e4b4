"""Packs: everything is read as before, a crash at any moment loses nothing, and a check sees what is wrong."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_store import PICTURE, SHA256, trajectory

from storage.packs import PACK
from storage.store import CorruptTrajectory, TrajectoryStore
from storage.store_check import HARMLESS, check_store
from storage.upkeep import compaction
from storage.upkeep.compaction import compact

NAMES = [f"i0001-a-m{member:02d}" for member in range(3)]
ORPHAN = b"nobody shows this"


@pytest.fixture
def store(tmp_path: Path) -> TrajectoryStore:
    """Three trajectories that share a picture, a half-played one, an orphaned picture, a done.json."""
    store = TrajectoryStore(tmp_path)
    for name in NAMES:
        store.write(trajectory(name), {SHA256: PICTURE})
    store.begin("i0001-b-m00").add(trajectory().steps[0], {hashlib.sha256(ORPHAN).hexdigest(): ORPHAN})
    (tmp_path / ".done.json.17.partial").write_text("{")
    (tmp_path / "done.json").write_text("{}")
    return store


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def assert_all_there(store: TrajectoryStore) -> None:
    assert store.ids() == NAMES
    assert list(store) == [trajectory(name) for name in NAMES]
    assert all(store.has(name) for name in NAMES) and not store.has("i0001-b-m00")
    assert store.image(SHA256) == PICTURE and store.has_image(SHA256)


def test_a_packed_stage_reads_as_before_from_one_file(store: TrajectoryStore) -> None:
    done = compact(store.root)
    assert files(store.root) == ["done.json", PACK]
    assert_all_there(store)
    assert_all_there(TrajectoryStore(store.root))
    assert (done.trajectories, done.files_before, done.files_after) == (3, 8, 2)
    assert check_store(store.root).problems == []
    assert not store.has_image(hashlib.sha256(ORPHAN).hexdigest())
    with pytest.raises(FileNotFoundError):
        store.read("none")
    with pytest.raises(FileNotFoundError):
        store.image("0" * 64)


def test_compacting_twice_changes_nothing_and_later_trajectories_join(store: TrajectoryStore) -> None:
    compact(store.root)
    before = (store.root / PACK).read_bytes()
    compact(store.root)
    assert (store.root / PACK).read_bytes() == before
    store.write(trajectory("i0001-z-m00"), {})
    compact(store.root)
    assert store.ids() == [*NAMES, "i0001-z-m00"]
    assert store.image(SHA256) == PICTURE


@pytest.mark.parametrize("moment", ["write_pack", "_remove_loose"])
def test_a_crash_loses_nothing(store: TrajectoryStore, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(compaction, moment, die)
        compact(store.root)
    assert_all_there(store)
    compact(store.root)
    assert_all_there(store)
    assert files(store.root) == ["done.json", PACK]


def test_what_cannot_be_read_stops_it_before_anything_is_deleted(store: TrajectoryStore) -> None:
    store.image_path(SHA256).write_bytes(b"other")
    before = files(store.root)
    with pytest.raises(CorruptTrajectory, match="does not match its name"):
        compact(store.root)
    assert files(store.root) == before


def test_a_damaged_pack_is_named(store: TrajectoryStore) -> None:
    compact(store.root)
    pack = store.root / PACK
    whole = pack.read_bytes()
    at = whole.index(PICTURE)
    pack.write_bytes(whole[:at] + b"X" + whole[at + 1 :])
    with pytest.raises(CorruptTrajectory, match=r"pack\.zip is damaged at images/"):
        store.image(SHA256)
    pack.write_bytes(whole[: len(whole) // 2])
    assert [problem.kind for problem in check_store(store.root).problems] == ["torn"]


def test_what_is_left_of_interrupted_work_is_reported(store: TrajectoryStore) -> None:
    (store.root / "i0001-c-m00").mkdir()
    checked = check_store(store.root)
    assert (checked.trajectories, checked.pictures) == (3, 1)
    assert [problem.kind for problem in checked.problems] == ["half_played", "orphan", "leftover", "leftover"]
    assert {problem.kind for problem in checked.problems} == HARMLESS.keys()


def unlink(store: TrajectoryStore) -> None:
    store.image_path(SHA256).unlink()


def spoil(store: TrajectoryStore) -> None:
    store.image_path(SHA256).write_bytes(b"other")


def tear(store: TrajectoryStore) -> None:
    path = store.root / NAMES[1] / "trajectory.json"
    path.write_bytes(path.read_bytes()[:50])


def copy(store: TrajectoryStore) -> None:
    shutil.copytree(store.root / NAMES[0], store.root / "copy")


@pytest.mark.parametrize(
    ("harm", "kind", "words"),
    [
        (unlink, "missing_picture", "delete the folders of the trajectories that show it"),
        (spoil, "damaged_picture", "delete it and play again"),
        (tear, "torn", "delete this folder to play the episode again"),
        (copy, "duplicate", "delete this copy"),
    ],
)
def test_harm_is_found_and_says_what_to_do(
    store: TrajectoryStore, harm: Callable[[TrajectoryStore], None], kind: str, words: str
) -> None:
    harm(store)
    [problem] = [problem for problem in check_store(store.root).problems if problem.kind not in HARMLESS]
    assert problem.kind == kind and words in problem.text
