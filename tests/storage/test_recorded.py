"""Films and traces as files beside a trajectory: they move with it, are kept by rule, and nothing needs them."""

from pathlib import Path

import pytest
from test_store import PICTURE, SHA256, trajectory

from agent.config import Keep, RecordConfig
from agent.types import Failure, Recorded, Trajectory
from agent.verdict import Verdict
from storage.recordings.recorded import keep_by_rule, recorded_in
from storage.store import TrajectoryStore
from storage.store_check import HARMLESS, check_store
from storage.upkeep.compaction import compact

FILM = b"\x1a\x45\xdf\xa3 a film"
FILES = ("video.webm", "video-2.webm", "video-10.webm", "trace.zip")
LOST = Failure(side="infra", code="BROWSER_CRASHED", message="gone", retryable=True)


def filmed(name: str, *, failure: Failure | None = None) -> Trajectory:
    recorded = (
        Recorded(kind="video", file="video.webm", size=len(FILM)),
        Recorded(kind="trace", file="trace.zip", size=len(FILM)),
    )
    return trajectory(name).model_copy(update={"recorded": recorded, "failure": failure})


def film(store: TrajectoryStore, name: str, *files: str) -> None:
    """Begins a trajectory with partial recordings, as at the end of its episode."""
    recording = store.begin(name)
    for file in files or ("video.webm", "trace.zip"):
        partial = recording.partial()
        partial.write_bytes(FILM)
        assert recording.add_file(partial, file) == len(FILM)


def files(store: TrajectoryStore, name: str) -> list[str]:
    return [path.name for path in recorded_in(store.root / name)]


@pytest.fixture
def store(tmp_path: Path) -> TrajectoryStore:
    """One trajectory with a film and a trace."""
    store = TrajectoryStore(tmp_path / "rollout")
    film(store, "x")
    store.write(filmed("x"), {SHA256: PICTURE})
    return store


@pytest.mark.parametrize(
    ("rule", "reward", "failure", "blocked", "kept"),
    [
        ("all", 1.0, None, False, True),
        ("all", 0.0, None, False, True),
        ("failures", 1.0, None, False, False),
        ("failures", 0.5, None, False, True),
        ("failures", None, None, False, True),
        ("failures", 1.0, LOST, False, True),
        ("failures", 1.0, None, True, True),
    ],
)
def test_the_rule_keeps_what_a_person_looks_at(
    store: TrajectoryStore, rule: Keep, reward: float | None, failure: Failure | None, blocked: bool, kept: bool
) -> None:
    verdict = Verdict(trajectory_id="x", reward=reward, judge="test", blocked=blocked)
    for _ in range(2):  # a judge stage may be played again
        keep_by_rule(store.root, RecordConfig(video=rule, trace="all"), filmed("x", failure=failure), verdict)
        assert files(store, "x") == (["video.webm"] if kept else []) + ["trace.zip"]


def test_films_are_listed_in_the_order_of_their_tabs(store: TrajectoryStore) -> None:
    film(store, "y", *reversed(FILES))
    (store.root / "y" / "video.webm.partial").write_bytes(b"")
    assert files(store, "y") == list(FILES) and files(store, "nobody") == []


def test_the_next_attempt_forgets_the_film_of_the_one_before(store: TrajectoryStore) -> None:
    film(store, "y", "video.webm", "video-2.webm")
    store.begin("y")
    assert files(store, "y") == []
    film(store, "y")
    store.forget("y")
    assert not (store.root / "y").exists()


def test_a_carried_trajectory_takes_its_films_along(store: TrajectoryStore, tmp_path: Path) -> None:
    following = TrajectoryStore(tmp_path / "next")
    inode = (store.root / "x" / "video.webm").stat().st_ino
    following.take_over(store, "x")
    following.take_over(store, "x")
    assert files(following, "x") == ["video.webm", "trace.zip"] and following.read("x") == filmed("x")
    assert (following.root / "x" / "video.webm").stat().st_ino == inode, "moved, not copied"
    assert not (store.root / "x").exists()


def test_a_film_that_comes_while_its_episode_is_carried_over_lands_there(
    store: TrajectoryStore, tmp_path: Path
) -> None:
    following, recording = TrajectoryStore(tmp_path / "next"), store.begin("y")
    first, second = recording.partial(), recording.partial()
    first.write_bytes(FILM)
    recording.add_file(first, "video.webm")
    second.write_bytes(FILM)
    recording.move_to(following)
    recording.add_file(second, "trace.zip")
    assert files(following, "y") == ["video.webm", "trace.zip"]
    assert not (store.root / "y").exists()


def test_a_packed_stage_keeps_its_films(store: TrajectoryStore) -> None:
    film(store, "half")
    compact(store.root)
    compact(store.root)
    assert sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()) == [
        "pack.zip",
        "x/trace.zip",
        "x/video.webm",
    ]
    assert TrajectoryStore(store.root).read("x") == filmed("x")
    assert check_store(store.root).problems == []


def test_a_check_tells_a_torn_film_from_one_that_was_removed(store: TrajectoryStore) -> None:
    (store.root / "x" / "trace.zip").unlink()
    assert check_store(store.root).problems == []
    (store.root / "x" / "video.webm").write_bytes(FILM[:5])
    film(store, "nobody")
    (store.root / "nobody" / "steps.jsonl").unlink()
    (store.root / "x" / "video-2.webm").write_bytes(FILM)
    found = {problem.kind: problem.text for problem in check_store(store.root).problems}
    assert found.keys() == {"damaged_film", "leftover"} and "leftover" in HARMLESS
    assert f"{store.root / 'x' / 'video.webm'} has not the {len(FILM)} bytes" in found["damaged_film"]


def test_a_trajectory_of_an_older_version_has_none(store: TrajectoryStore) -> None:
    old = trajectory("z").model_dump(mode="json")
    del old["recorded"]
    assert Trajectory.model_validate(old).recorded == ()
