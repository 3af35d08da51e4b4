"""A checkpoint is complete or does not exist; what is damaged is named."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    import_policy,
    latest,
    prune,
    read_checkpoint,
    remove_partials,
    versions,
    write_checkpoint,
)
from training.errors import CheckpointError


def make(policies: Path, version: int, text: str = "weights") -> Checkpoint:
    with write_checkpoint(policies, version, parent=version - 1, step=4 * version, samples="abc") as folder:
        (folder / "model.safetensors").write_text(text)
        (folder / "optimizer").mkdir()
        (folder / "optimizer" / "adam.json").write_text("{}")
    return read_checkpoint(checkpoint_path(policies, version))


def test_a_written_checkpoint_reads_back(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, 4)
    assert (checkpoint.version, checkpoint.parent, checkpoint.step, checkpoint.samples) == (4, 3, 16, "abc")
    assert checkpoint.path == tmp_path / "v0004"
    assert set(checkpoint.sha256) == {"model.safetensors", "optimizer/adam.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["v0004"]


def test_a_version_is_written_once(tmp_path: Path) -> None:
    make(tmp_path, 1)
    with pytest.raises(CheckpointError, match="v0001 exists already"):
        make(tmp_path, 1)


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), write_checkpoint(tmp_path, 1, parent=0, step=1) as folder:
        (folder / "model.safetensors").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RL_LOOP_FAILPOINT", "checkpoint.before_manifest:disk_full")
    with pytest.raises(CheckpointError, match=r"no space left for .*v0001; free some"):
        make(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def damage_content(folder: Path) -> None:
    (folder / "model.safetensors").write_text("w3ights")


def damage_size(folder: Path) -> None:
    (folder / "model.safetensors").write_text("weigh")


def remove_file(folder: Path) -> None:
    (folder / "optimizer" / "adam.json").unlink()


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def cut_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"version": 1, ')


def empty_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (damage_content, r"model.safetensors does not match the sha256 in the manifest; delete"),
        (damage_size, "model.safetensors is missing or has not the 7 bytes"),
        (remove_file, "adam.json is missing or has not the 2 bytes"),
        (remove_manifest, "has no manifest.json, so it is no complete checkpoint"),
        (cut_manifest, "is not a checkpoint's manifest"),
        (empty_manifest, "is not a checkpoint's manifest"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    path = make(tmp_path, 1).path
    damage(path)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="v0009 does not exist"):
        read_checkpoint(tmp_path / "v0009")


def test_latest_is_the_newest_version_and_never_a_partial(tmp_path: Path) -> None:
    assert latest(tmp_path / "none") is None
    assert latest(tmp_path) is None
    for version in (0, 2, 10_001):
        make(tmp_path, version)
    (tmp_path / "v20000.partial-1").mkdir()
    newest = latest(tmp_path)
    assert newest is not None and newest.version == 10_001
    assert versions(tmp_path) == [0, 2, 10_001]


def test_latest_refuses_to_fall_back_silently(tmp_path: Path) -> None:
    make(tmp_path, 1)
    remove_manifest(make(tmp_path, 2).path)
    with pytest.raises(CheckpointError, match="v0002 has no manifest"):
        latest(tmp_path)


def test_leftovers_of_dead_writers_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(dead, 0)
    for pid in (dead, os.getpid(), os.getppid()):
        (tmp_path / f"v0001.partial-{pid}").mkdir()
    remove_partials(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"v0001.partial-{os.getppid()}"]


def test_prune_keeps_the_newest_and_the_named(tmp_path: Path) -> None:
    for version in range(6):
        make(tmp_path, version)
    assert prune(tmp_path, 2, keep={1}) == [0, 2, 3]
    assert versions(tmp_path) == [1, 4, 5]
    assert prune(tmp_path, 2, keep={1}) == []
    with pytest.raises(ValueError, match="at least 1"):
        prune(tmp_path, 0)


def test_importing_makes_version_zero_once(tmp_path: Path, model_directory: Path) -> None:
    first = import_policy(model_directory, tmp_path)
    assert (first.version, first.parent, first.step) == (0, None, 0)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(first.sha256)
    assert read_checkpoint(first.path) == first
    assert (first.path / "model.safetensors").samefile(model_directory / "model.safetensors")
    assert import_policy(model_directory, tmp_path) == first


@pytest.mark.parametrize("files", [[], ["config.json"], ["model.safetensors"]])
def test_importing_something_else_is_refused(tmp_path: Path, files: list[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in files:
        (source / name).write_text("{}")
    with pytest.raises(CheckpointError, match="is no model directory"):
        import_policy(source, tmp_path / "policies")


def test_importing_torn_weights_is_refused(tmp_path: Path, model_directory: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({}))
    weights = (model_directory / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        import_policy(source, tmp_path / "policies")
    with pytest.raises(CheckpointError, match="does not exist"):
        import_policy(tmp_path / "nowhere", tmp_path / "policies")
