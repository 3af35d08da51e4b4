"""A checkpoint is complete or does not exist; what is damaged is named."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored_rollouts import put_nan

from training.checkpointing.checkpoints import (
    Checkpoint,
    checkpoint_path,
    import_policy,
    latest,
    prune,
    read_checkpoint,
    remove_partials,
    set_aside,
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


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def forget_a_digest(folder: Path) -> None:
    change_manifest(folder, sha256={})


def forget_all_digests(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def binary_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\x80\x81\xff")


def list_as_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[1]")


def deep_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 99_999)


def folder_as_manifest(folder: Path) -> None:
    remove_manifest(folder)
    (folder / "manifest.json").mkdir()


def nan_in_manifest(folder: Path) -> None:
    change_manifest(folder, created=float("nan"))


def manifest_of_another(folder: Path) -> None:
    change_manifest(folder, version=7)


def file_of_the_neighbours(folder: Path) -> None:
    change_manifest(folder, sizes={"../x": 1}, sha256={"../x": "0" * 64})


def absolute_file(folder: Path) -> None:
    change_manifest(folder, sizes={"/etc/hostname": 1}, sha256={"/etc/hostname": "0" * 64})


def second_weights(folder: Path) -> None:
    (folder / "zzz.safetensors").write_text("other weights")


def hidden_file(folder: Path) -> None:
    (folder / ".tokenizer_config.json").write_text("{}")


def file_in_a_subfolder(folder: Path) -> None:
    (folder / "optimizer" / "adam.bak").write_text("{}")


def subfolder(folder: Path) -> None:
    (folder / "adapter").mkdir()


def linked_weights(folder: Path) -> None:
    place = folder / "model.safetensors"
    place.rename(folder.parent / "elsewhere")
    place.symlink_to(folder.parent / "elsewhere")


def linked_subfolder(folder: Path) -> None:
    (folder / "optimizer").rename(folder.parent / "elsewhere")
    (folder / "optimizer").symlink_to(folder.parent / "elsewhere")


def folder_as_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (damage_content, r"model.safetensors does not match the sha256 in the manifest; delete"),
        (damage_size, "model.safetensors is missing or has not the 7 bytes"),
        (remove_file, "adam.json is missing or has not the 2 bytes"),
        (remove_manifest, "has no manifest.json, so it is no complete checkpoint"),
        (cut_manifest, "is not a checkpoint's manifest"),
        (empty_manifest, "is not a checkpoint's manifest: version: Field required"),
        (forget_a_digest, "manifest: .*'model.safetensors' has a size or a sha256, but not both"),
        (forget_all_digests, "is not a checkpoint's manifest: sha256: Field required"),
        (binary_manifest, "is not a checkpoint's manifest"),
        (list_as_manifest, "is not a checkpoint's manifest"),
        (deep_manifest, "is not a checkpoint's manifest"),
        (folder_as_manifest, "is not a checkpoint's manifest: .*Is a directory"),
        (nan_in_manifest, "created: Input should be a finite number"),
        (manifest_of_another, "is that of version 7; the folder has been renamed or copied"),
        (file_of_the_neighbours, "'../x' is no path of a file inside the checkpoint"),
        (absolute_file, "'/etc/hostname' is no path of a file inside the checkpoint"),
        (second_weights, "zzz.safetensors is not in the manifest"),
        (hidden_file, ".tokenizer_config.json is not in the manifest"),
        (file_in_a_subfolder, "adam.bak is not in the manifest"),
        (subfolder, "adapter is not in the manifest"),
        (linked_weights, "model.safetensors is a symbolic link"),
        (linked_subfolder, "optimizer is a symbolic link"),
        (folder_as_weights, "model.safetensors is not in the manifest"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    path = make(tmp_path, 1).path
    damage(path)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [second_weights, linked_weights, file_of_the_neighbours, forget_a_digest])
def test_a_look_without_hashing_sees_foreign_files_too(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = make(tmp_path, 1).path
    damage(path)
    with pytest.raises(CheckpointError):
        read_checkpoint(path, verify=False)


def test_a_manifest_of_before_recipes_is_read(tmp_path: Path) -> None:
    path = make(tmp_path, 1).path
    manifest = json.loads((path / "manifest.json").read_bytes())
    del manifest["recipe"], manifest["samples"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert read_checkpoint(path).recipe is None


def test_equal_policies_have_equal_digests_whatever_their_version(tmp_path: Path) -> None:
    one, same, other = make(tmp_path, 1), make(tmp_path, 2), make(tmp_path, 3, "w3ights")
    assert one.digest == same.digest != other.digest


def test_a_version_that_was_set_aside_is_kept_until_a_newer_one_is_there(tmp_path: Path) -> None:
    make(tmp_path, 1)
    make(tmp_path, 2)
    assert set_aside(tmp_path, 2) == tmp_path / "v0002.unsound"
    make(tmp_path, 2, "again")
    set_aside(tmp_path, 2)
    assert (tmp_path / "v0002.unsound" / "model.safetensors").read_text() == "again"
    make(tmp_path, 2)
    prune(tmp_path, 2)
    assert versions(tmp_path) == [1, 2] and (tmp_path / "v0002.unsound").is_dir()
    make(tmp_path, 3)
    prune(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v0002", "v0003"]


def test_a_strange_partial_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "v0001.partial-of-mine").mkdir()
    make(tmp_path, 1)
    assert (tmp_path / "v0001.partial-of-mine").is_dir()


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


@pytest.mark.parametrize(
    ("name", "sentence"), [("weights", "lm_head.weight in .* not finite"), ("config", "is damaged")]
)
def test_importing_what_can_never_be_served_is_refused(
    tmp_path: Path, model_directory: Path, name: str, sentence: str
) -> None:
    source = shutil.copytree(model_directory, tmp_path / "source")
    if name == "weights":
        put_nan(source / "model.safetensors")
    else:
        (source / "config.json").write_text('{"text_config": ')
    with pytest.raises(CheckpointError, match=sentence):
        import_policy(source, tmp_path / "policies")
    assert not (tmp_path / "policies").exists()


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
