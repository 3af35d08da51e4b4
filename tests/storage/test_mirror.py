"""A run is copied while it goes on, and made again elsewhere, byte for byte; whatever fails, a head names whole folders only."""

import hashlib
import json
import random
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from storage.mirror import objects
from storage.mirror.errors import MirrorError, MirrorTaken
from storage.mirror.mirror import FILE, fetch, push
from storage.mirror.objects import ObjectStore, check_address
from storage.mirror.trees import NOT_COPIED

PICTURE = b"\x89PNG the same in every stage"
SHOWN = f"images/{hashlib.sha256(PICTURE).hexdigest()[:2]}/{hashlib.sha256(PICTURE).hexdigest()}.png"
STAGES = ["iterations/0001/rollout", "iterations/0001/", "policies/v0001"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run folder with a finished stage, a policy and an unfinished stage."""
    root = tmp_path / "here" / "demo"
    write(root / "run.json", b"{}")
    write(root / "lock", b"4711")
    write(root / "iterations/0001/iteration.json", b"{}")
    write(root / "policies/v0001/model.safetensors", b"weights" * 1000)
    stage(root, "iterations/0001/rollout")
    write(root / "iterations/0002/rollout/plan.jsonl", b"unfinished")
    return root


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}/copies")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Generator[ObjectStore]:
    """A bucket of a local S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = ObjectStore("s3://copies/runs")
    store._fs.mkdir("copies")
    yield store
    server.stop()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def stage(root: Path, name: str) -> None:
    write(root / name / "a" / "trajectory.json", f'{{"of": "{name}"}}'.encode())
    write(root / name / SHOWN, PICTURE)
    write(root / name / "done.json", b"{}")


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file() and path.name not in NOT_COPIED]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def blobs(store: ObjectStore) -> set[str]:
    return {path.name for path in Path(store.address.removeprefix("file://")).glob("blobs/*/*")}


@pytest.mark.parametrize("kind", ["store", "s3"])
def test_another_machine_gets_what_was_finished(
    kind: str, request: pytest.FixtureRequest, root: Path, tmp_path: Path
) -> None:
    store: ObjectStore = request.getfixturevalue(kind)
    assert push(store, root, STAGES).folders == 4
    assert push(store, root, STAGES) == push(store, root, STAGES, again=True) == (0, 0)
    stage(root, "iterations/0001/judge")
    assert push(store, root, [*STAGES, "iterations/0001/judge"]) == (1, 3)

    made = fetch(store, "demo", tmp_path / "there")

    expected = {path: data for path, data in contents(root).items() if not path.startswith("iterations/0002")}
    assert contents(made) == expected and "lock" not in expected
    assert store.runs() == ["demo"]
    with pytest.raises(MirrorError, match=r"there/demo exists already; remove it"):
        fetch(store, "demo", tmp_path / "there")
    with pytest.raises(MirrorError, match=r"no run other in .*; runs there: demo"):
        fetch(store, "other", tmp_path / "there")


def test_a_picture_of_many_stages_is_stored_once_and_a_pruned_policy_leaves_the_head(
    root: Path, store: ObjectStore, tmp_path: Path
) -> None:
    for number in range(2, 5):
        stage(root, f"iterations/{number:04d}/rollout")
    names = [f"iterations/{number:04d}/rollout" for number in range(1, 5)]
    push(store, root, [*names, "policies/v0001"])
    pictures = [path for path in contents(root).values() if path == PICTURE]
    assert len(pictures) == 4 and hashlib.sha256(PICTURE).hexdigest() in blobs(store)

    push(store, root, names, again=True)

    made = fetch(store, "demo", tmp_path / "there")
    assert not (made / "policies").exists() and (made / names[3] / SHOWN).read_bytes() == PICTURE


def test_two_machines_never_go_on_with_one_run(root: Path, store: ObjectStore, tmp_path: Path) -> None:
    push(store, root, STAGES)
    made = fetch(store, "demo", tmp_path / "there")

    with pytest.raises(MirrorTaken, match=r"has a run demo that .* wrote at .* only one machine goes on"):
        push(store, root, STAGES)
    stage(made, "iterations/0002/rollout")
    assert push(store, made, [*STAGES, "iterations/0002/rollout"]).folders == 1


def test_a_copier_that_dies_leaves_the_head_before(
    root: Path, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, root, STAGES[:1])

    class Killed(BaseException): ...

    def dies(*_: object) -> None:
        raise Killed

    stage(root, "iterations/0001/judge")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(ObjectStore, "write_head", dies)
        push(store, root, [*STAGES, "iterations/0001/judge"])
    head = json.loads(store.head("demo") or b"")
    assert set(head["folders"]) == {"", STAGES[0]}
    (root / FILE).write_text("torn")  # not even the note of what was sent is needed
    with pytest.raises(MirrorTaken):
        push(store, root, STAGES)


class Flaky:
    """A file system of which half of the calls fail, before or after they did their work."""

    def __init__(self, fs: Any) -> None:
        self._fs, self._chance = fs, random.Random(3)
        self.failed = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fs, name)
        if not callable(found) or name == "invalidate_cache":
            return found

        def call(*args: Any, **given: Any) -> Any:
            fails, late = self._chance.random() < 0.5, self._chance.random() < 0.5
            result = found(*args, **given) if late or not fails else None
            if fails:
                self.failed += 1
                raise TimeoutError("the store did not answer")
            return result

        return call


def test_a_store_that_fails_half_of_the_calls_loses_nothing(
    root: Path, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PAUSE_S", 0.0)
    flaky = ObjectStore(store.address)
    flaky._fs = Flaky(flaky._fs)
    for _ in range(20):  # as the loop does: what is missing is copied at the next chance
        try:
            push(flaky, root, STAGES)
            break
        except MirrorError as error:
            assert "the store did not answer" in str(error)

    assert flaky._fs.failed > 10
    assert contents(fetch(store, "demo", tmp_path / "there")).keys() >= {f"{STAGES[0]}/done.json", "run.json"}


@pytest.mark.parametrize("damage", ["other", "missing", "path", "no json"])
def test_a_damaged_copy_is_a_sentence_and_makes_no_folder(
    root: Path, store: ObjectStore, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, root, STAGES)
    place = Path(store.address.removeprefix("file://"))
    digest = hashlib.sha256(b"weights" * 1000).hexdigest()
    match damage:
        case "other":
            (place / "blobs" / digest[:2] / digest).write_bytes(b"other")
        case "missing":
            (place / "blobs" / digest[:2] / digest).unlink()
        case "path":
            tree = store.put(json.dumps({"files": {"../../stolen": digest}}).encode())
            head = json.loads(store.head("demo") or b"")
            store.write_head("demo", json.dumps(head | {"folders": head["folders"] | {"x": tree}}).encode())
        case "no json":
            store.write_head("demo", b"{}")

    with pytest.raises(MirrorError, match=r"damaged|not there|not what a mirror holds"):
        fetch(store, "demo", tmp_path / "there")

    assert not any((tmp_path / "there").rglob("*")) and not (tmp_path / "stolen").exists()


@pytest.mark.parametrize("address", ["", "bucket/folder", "ftp9://x", "s3://", "s3://me:secret@bucket", "s3://b?key=1"])
def test_a_bad_address_is_a_sentence(address: str) -> None:
    with pytest.raises(ValueError, match=r"expected an address such as|has no secret in it"):
        check_address(address)
