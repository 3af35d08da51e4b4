"""Errors in the files alone are rejected with one sentence, before a server is touched."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from small_policies import TOKENS, tensors, write_version

from training.checkpointing.canary import read_canary
from training.checkpointing.weight_digests import read_shapes, read_weights
from training.errors import CheckpointError
from training.publishing.canary_proof import compare
from training.publishing.prepared_policy import check_shapes, prepare


def test_a_text_only_policy_is_prepared(tmp_path: Path) -> None:
    path = write_version(tmp_path, 1, tensors(0.1))
    ready = prepare(path, "run:1", pictures=tmp_path / "nowhere")
    assert (ready.image_token, len(ready.probes), ready.dtype) == (None, 1, "float32")


def test_pictures_of_a_text_only_policy_and_missing_ones_are_sentences(tmp_path: Path) -> None:
    text_only = write_version(tmp_path, 1, tensors(0.1), images=("ab" * 32,))
    with pytest.raises(CheckpointError, match="names no image_token_id, so the policy is text-only"):
        prepare(text_only, "run:1", pictures=tmp_path)
    sees = write_version(tmp_path, 2, tensors(0.1), images=("ab" * 32,), image_token_id=5)
    with pytest.raises(CheckpointError, match=r"picture abababababab of a canary can't be read"):
        prepare(sees, "run:2", pictures=tmp_path)
    (tmp_path / "images" / "ab").mkdir(parents=True)
    (tmp_path / "images" / "ab" / f"{'ab' * 32}.png").write_bytes(b"another picture")
    with pytest.raises(CheckpointError, match=r"picture abababababab of a canary can't be read"):
        prepare(sees, "run:2", pictures=tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float, dtype: str) -> None:
    weights = tensors(0.1)
    weights["b"] = weights["b"].astype(dtype)
    weights["b"][2] = value
    path = write_version(tmp_path, 1, weights)
    with pytest.raises(CheckpointError, match="b has a value that is not finite"):
        prepare(path, "run:1", pictures=tmp_path)


def test_so_are_bfloat16_ones_and_the_largest_numbers_are_finite(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    sound = {"a": torch.full((3,), torch.finfo(torch.bfloat16).max, dtype=torch.bfloat16)}
    save_torch(sound, tmp_path / "model.safetensors")
    assert read_shapes(tmp_path) == {"a": (3,)} and len(read_weights(tmp_path).digests) == 1
    save_torch({"a": torch.full((3,), float("nan"), dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="a has a value that is not finite"):
        read_weights(tmp_path)
    save_file({"a": np.full(4, np.finfo("float64").max)}, tmp_path / "model.safetensors")  # whose sum overflows
    read_weights(tmp_path)


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 64, (4).to_bytes(8, "little") + b"[1]  "])
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="is no complete safetensors file"):
        read_weights(tmp_path)


def test_a_torn_file_is_a_sentence(tmp_path: Path) -> None:
    save_file(tensors(0.1), tmp_path / "model.safetensors")
    whole = (tmp_path / "model.safetensors").read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 12):
        (tmp_path / "model.safetensors").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is no complete safetensors file"):
            read_weights(tmp_path)


def test_joins_are_found_across_files(tmp_path: Path) -> None:
    parts = {name: np.full((2, 2), number, "float32") for number, name in enumerate("qkv")}
    for name, array in parts.items():
        save_file({f"layers.0.{name}_proj.weight": array}, tmp_path / f"model-{name}.safetensors")
    assert len(read_weights(tmp_path).digests) == 4


def test_another_shape_and_a_missing_tensor_are_refused(tmp_path: Path) -> None:
    old = write_version(tmp_path, 1, tensors(0.1))
    other = write_version(tmp_path, 2, {"a": np.zeros((2, 4), "float32"), "b": np.zeros(4, "float32")}, canary=False)
    fewer = write_version(tmp_path, 3, {"a": np.zeros((2, 3), "float32")}, canary=False)
    shapes = read_shapes(old)
    with pytest.raises(
        CheckpointError, match=r"a has the shape \[2, 4\], in the policy that is served .* it has \[2, 3\]"
    ):
        check_shapes(prepare(other, "run:2", pictures=tmp_path), old, shapes)
    with pytest.raises(CheckpointError, match="lacks b and 0 other tensors"):
        check_shapes(prepare(fewer, "run:3", pictures=tmp_path), old, shapes)
    check_shapes(prepare(old, "run:1", pictures=tmp_path), old, shapes)
    deeper = write_version(tmp_path, 4, tensors(0.1) | {"c": np.zeros(4, "float32")}, canary=False)
    with pytest.raises(CheckpointError, match=r"has c and 0 other tensors that the policy that is served .* has not"):
        check_shapes(prepare(deeper, "run:4", pictures=tmp_path), old, shapes)


def test_a_tied_head_may_be_left_out_on_either_side_and_hides_nothing(tmp_path: Path) -> None:
    head = {"lm_head.weight": np.zeros(4, "float32")}
    without = write_version(tmp_path, 1, tensors(0.1))
    tied = write_version(tmp_path, 2, tensors(0.1) | head, canary=False)
    fewer = write_version(tmp_path, 3, {"a": tensors(0.1)["a"]} | head, canary=False)
    check_shapes(prepare(tied, "run:2", pictures=tmp_path), without, read_shapes(without))
    check_shapes(prepare(without, "run:1", pictures=tmp_path), tied, read_shapes(tied))
    with pytest.raises(CheckpointError, match="lacks b and 0 other tensors"):
        check_shapes(prepare(fewer, "run:3", pictures=tmp_path), without, read_shapes(without))


def test_heads_that_transformers_does_not_write_may_be_missing(tmp_path: Path) -> None:
    """Qwen3.5 comes with heads for multi-token prediction; no version that is trained from it has them."""
    downloaded = write_version(tmp_path, 1, tensors(0.1) | {"mtp.layers.0.fc.weight": np.zeros(4, "float32")})
    trained = write_version(tmp_path, 2, tensors(0.2), canary=False)
    check_shapes(prepare(trained, "run:2", pictures=tmp_path), downloaded, read_shapes(downloaded))


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("New", "old", r'has architectures=\["New"\], in .* it is \["Old"\]'),
        ("Old", "new", 'has model_type="new", in .* it is "old"'),
    ],
)
def test_another_architecture_is_refused(tmp_path: Path, name: str, kind: str, said: str) -> None:
    """Its tensors have other names, so no shape can differ."""
    old = write_version(tmp_path, 1, tensors(0.1), architectures=["Old"], model_type="old")
    other = {f"new.{name}": tensor for name, tensor in tensors(0.1).items()}
    path = write_version(tmp_path, 2, other, canary=False, architectures=[name], model_type=kind)
    new = prepare(path, "run:2", pictures=tmp_path)
    with pytest.raises(CheckpointError, match=said + r"; stop the services \(rl-loop down\)"):
        check_shapes(new, old, read_shapes(old))


def test_tensors_that_were_only_renamed_and_a_config_that_says_nothing_are_no_reason(tmp_path: Path) -> None:
    old = write_version(tmp_path, 1, tensors(0.1), architectures=["One"])
    other = {f"new.{name}": tensor for name, tensor in tensors(0.1).items()}
    for version, kind in ((2, ["One"]), (3, None)):
        renamed = write_version(tmp_path, version, other, canary=False, architectures=kind)
        check_shapes(prepare(renamed, f"run:{version}", pictures=tmp_path), old, read_shapes(old))
    (old / "config.json").write_text("{")
    check_shapes(prepare(renamed, "run:3", pictures=tmp_path), old, read_shapes(old))


@pytest.mark.parametrize("name", ["logprobs", "parent_logprobs"])
@pytest.mark.parametrize("numbers", [[None] * len(TOKENS), ["NaN"] * len(TOKENS), [-1.0]])
def test_a_canary_without_numbers_is_a_sentence(tmp_path: Path, name: str, numbers: list[object]) -> None:
    file = write_version(tmp_path, 1, tensors(0.1)) / "canary.json"
    canary = json.loads(file.read_bytes())
    canary["completions"][0][name] = numbers
    file.write_text(json.dumps(canary))
    with pytest.raises(CheckpointError, match=r"canary.json"):
        read_canary(file.parent)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"])
def test_an_unreadable_canary_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = write_version(tmp_path, 1, tensors(0.1)) / "canary.json"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"canary.json is no canary"):
        read_canary(file.parent)


def noisy(base: list[float], size: float, seed: int) -> list[float]:
    return (np.array(base) + np.random.default_rng(seed).normal(0, size, len(base))).tolist()


@pytest.mark.parametrize(("step", "noise"), [(0.0001, 1e-6), (0.0055, 1e-6), (0.0055, 1e-3), (0.2, 0.02)])
def test_new_and_old_weights_differ_in_the_noise_of_their_precision(step: float, noise: float) -> None:
    old = noisy([-1.0] * 200, 0.5, 1)
    new = noisy(old, step, 2)
    for served, is_new in ((new, True), (old, False)):
        found = compare(noisy(served, noise, 3), new, old)
        assert found.discriminates and found.says_new is is_new
    half = [(n + o) / 2 for n, o in zip(new, old, strict=True)]
    assert not compare(noisy(half, noise, 3), new, old).says_new


def test_what_noise_hides_is_not_claimed() -> None:
    old = noisy([-1.0] * 200, 0.5, 1)
    new = noisy(old, 0.0055, 2)
    assert not compare(noisy(new, 0.05, 3), new, old).discriminates
    assert not compare(new, new, ()).discriminates
    assert not compare(new, new, new).discriminates
    assert not compare(new[:3], new[:3], old[:3]).discriminates
