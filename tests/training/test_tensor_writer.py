"""Weights that are written tensor by tensor are the file that safetensors and transformers write at once."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.checkpointing.tensor_writer import Described, TensorWriter
from training.learning.models import LoadedPolicy
from training.learning.processes.streaming import INDEX, write_tensors, write_weights


def test_the_file_is_byte_for_byte_that_of_safetensors(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "b": torch.randn(3, 4, generator=generator),
        "a.é": torch.randn(2, generator=generator).bfloat16(),
        "c": torch.arange(5),
        "d": torch.randn(1, 1, generator=generator, dtype=torch.float64),
        "e": torch.zeros(0, 3),
        "f": torch.tensor(3.0),
        "g": torch.ones(3, dtype=torch.bool),
        "h": torch.randn(4, 6, generator=generator).half(),
    }
    for metadata in (None, {"format": "pt"}):
        save_file(tensors, tmp_path / "expected", metadata=metadata)
        write_tensors(tensors, tmp_path / "found", metadata)
        assert (tmp_path / "found").read_bytes() == (tmp_path / "expected").read_bytes()


def test_a_tensor_that_is_missing_torn_or_out_of_order_is_refused(tmp_path: Path) -> None:
    described = {"a": Described("F32", (2,)), "b": Described("F32", (1,))}
    with (
        pytest.raises(ValueError, match="expected the tensor a, found b"),
        TensorWriter(tmp_path / "x", described) as file,
    ):
        file.write("b", b"\0" * 4)
    with (
        pytest.raises(ValueError, match="expected 8 bytes of a, found 4"),
        TensorWriter(tmp_path / "x", described) as file,
    ):
        file.write("a", b"\0" * 4)
    with (
        pytest.raises(ValueError, match="the tensor b was not written"),
        TensorWriter(tmp_path / "x", described) as file,
    ):
        file.write("a", b"\0" * 8)


def test_a_policy_is_written_as_save_pretrained_does(
    policy: LoadedPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Split into files, too: a small bound stands for 50 GB."""
    limit = 100_000
    for name, most in (("whole", 50_000_000_000), ("split", limit)):
        policy.model.save_pretrained(tmp_path / f"{name}-expected", max_shard_size=most)
        monkeypatch.setattr("training.learning.processes.streaming.MOST_BYTES", most)
        (tmp_path / name).mkdir()
        write_weights(policy.model, tmp_path / name)
        files = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        assert (INDEX in files) == (name == "split")
        for file, content in files.items():
            assert content == (tmp_path / f"{name}-expected" / file).read_bytes(), file
