"""Trajectory folders: complete or not there, readable back, damage noticed."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.types import Completion, Step, StopReason, Task, Trajectory
from browser_service.models import ClickId, Observation, Screenshot, Viewport
from storage.atomic import write_atomically
from storage.store import CorruptTrajectory, TrajectoryStore

PICTURE = b"not really a picture"
SHA256 = hashlib.sha256(PICTURE).hexdigest()


def trajectory(name: str = "i0001-click-test.1-m00") -> Trajectory:
    shot = Screenshot(sha256=SHA256, media_type="image/png", width=160, height=210)
    page = Observation(url="http://127.0.0.1/", title="t", viewport=Viewport(width=160, height=210), screenshot=shot)
    said = Completion(text="click(1)", prompt_token_ids=(1, 2), token_ids=(3,), logprobs=(-0.5,), images=(SHA256,))
    step = Step(index=0, observation=page, completion=said, action=ClickId(id=1), seconds={"think": 0.1})
    task = Task(id="click-test.1", environment="miniwob", domain="click-test", seed=1)
    return Trajectory(
        id=name, task=task, goal="Click.", group="g", member=0, iteration=1, steps=(step,), stop=StopReason.DONE
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    assert not store.has(trajectory().id)
    store.write(trajectory(), {SHA256: PICTURE})
    assert store.has(trajectory().id)
    assert store.read(trajectory().id) == trajectory()
    assert list(store) == [trajectory()]
    assert store.image(SHA256) == PICTURE


def test_pictures_are_shared(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    for member in range(3):
        store.write(trajectory(f"m{member}"), {SHA256: PICTURE})
    assert store.ids() == ["m0", "m1", "m2"]
    assert len(list(tmp_path.rglob("*.png"))) == 1


def test_members_may_write_the_same_picture_at_the_same_time(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    large = b"x" * 300_000
    sha256 = hashlib.sha256(large).hexdigest()
    path = store.image_path(sha256)
    path.parent.mkdir(parents=True)
    with ThreadPoolExecutor(16) as threads:
        for written in [threads.submit(write_atomically, path, large) for _ in range(60)]:
            written.result()
    assert store.image(sha256) == large
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_an_unfinished_trajectory_does_not_exist(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / ".trajectory.json.77.partial").write_text("{")
    assert store.ids() == []
    assert not store.has("half")


def test_an_episode_is_written_as_it_goes(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    [step] = trajectory("x").steps
    store.begin("x").add(step, {})
    recording = store.begin("x")
    recording.add(step, {SHA256: PICTURE})
    recording.add(step, {})
    with (tmp_path / "x" / "steps.jsonl").open("a") as file:
        file.write('{"index": 2, "obs')
    assert store.steps_so_far("x") == [step, step]
    assert store.image(SHA256) == PICTURE
    assert not store.has("x") and store.ids() == []
    store.write(trajectory("x"), {})
    assert store.read("x") == trajectory("x")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["trajectory.json"]
    assert store.steps_so_far("x") == store.steps_so_far("y") == []


@pytest.mark.parametrize(
    ("head", "suffix"), [(b"\x89PNG\r\n", ".png"), (b"\xff\xd8\xff\xe0", ".jpg"), (b"RIFF\0\0\0\0WEBPVP8 ", ".webp")]
)
def test_a_picture_is_found_whatever_its_format(tmp_path: Path, head: bytes, suffix: str) -> None:
    store = TrajectoryStore(tmp_path)
    sha256 = hashlib.sha256(head).hexdigest()
    store.write(trajectory(), {sha256: head})
    assert store.image(sha256) == head and store.image_path(sha256).suffix == suffix


def test_damage_is_named(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    store.write(trajectory("x"), {SHA256: PICTURE})
    store.image_path(SHA256).write_bytes(b"other")
    with pytest.raises(CorruptTrajectory, match="does not match its name"):
        store.image(SHA256)
    (tmp_path / "x" / "trajectory.json").write_text('{"id": "x"}')
    with pytest.raises(CorruptTrajectory, match="delete this folder"):
        store.read("x")


def test_ids_that_would_leave_the_folder_are_refused() -> None:
    with pytest.raises(ValueError, match="pattern"):
        Trajectory.model_validate(trajectory().model_dump() | {"id": "../../etc/x"})


def test_a_recording_moves_on_with_all_its_pictures(tmp_path: Path) -> None:
    first, second, third = (TrajectoryStore(tmp_path / name) for name in "123")
    step = trajectory().steps[0]
    pages = [f"page {number}".encode() for number in range(3)]
    names = [hashlib.sha256(page).hexdigest() for page in pages]

    def seen(index: int) -> Step:
        shot = Screenshot(sha256=names[index], media_type="image/png", width=1, height=1)
        page = step.observation.model_copy(update={"screenshot": shot})
        return step.model_copy(update={"index": index, "observation": page})

    recording = first.begin("x")
    recording.add(seen(0), dict(zip(names[:2], pages, strict=False)))  # the page after the step is there already
    recording.move_to(second)
    recording.add(seen(1), {names[2]: pages[2]})
    recording.move_to(third)
    recording.add(seen(2), {})

    assert [one.index for one in third.steps_so_far("x")] == [0, 1, 2]
    assert [third.image(name) for name in names] == pages
    assert not (first.root / "x").exists() and not (second.root / "x").exists()
    assert third.image_path(names[0]).stat().st_ino == first.image_path(names[0]).stat().st_ino, "linked, not copied"


def test_a_trajectory_is_taken_over_with_its_pictures(tmp_path: Path) -> None:
    old, new = TrajectoryStore(tmp_path / "1"), TrajectoryStore(tmp_path / "2")
    old.write(trajectory("m0"), {SHA256: PICTURE})
    old.write(trajectory("m1"), {})
    for _ in range(2):  # again is fine
        new.take_over(old, "m0")
    assert (old.ids(), new.ids()) == (["m1"], ["m0"])
    assert old.image(SHA256) == new.image(SHA256) == PICTURE
