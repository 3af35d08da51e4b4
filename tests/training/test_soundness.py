"""Numbers that are not finite are found in every type of tensor, wherever they lie."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.checkpointing import tensor_files
from training.checkpointing.disk_space import needed_bytes, require_space
from training.checkpointing.soundness import why_unsound
from training.config import UpdateConfig
from training.errors import BadInput, CheckpointError
from training.lora_settings import LoraSettings

WITH_INFINITY = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]
NOT_FINITE = [
    *((kind, number) for kind in WITH_INFINITY for number in (float("nan"), float("inf"), float("-inf"))),
    (torch.float8_e4m3fn, float("nan")),
]


def tensor(kind: torch.dtype, *last: float) -> torch.Tensor:
    """Large and small numbers of a type, and some more at the end."""
    limits = torch.finfo(kind)
    return torch.tensor([0.0, limits.max, limits.min, limits.smallest_normal, -1.5, *last], dtype=torch.float64).to(
        kind
    )


@pytest.mark.parametrize(("kind", "number"), NOT_FINITE)
def test_it_is_found_in_every_type(tmp_path: Path, kind: torch.dtype, number: float) -> None:
    save_file({"a": tensor(kind), "b": torch.arange(4)}, tmp_path / "model.safetensors")
    assert why_unsound(tmp_path) is None
    save_file({"a": tensor(kind), "b": tensor(kind, number)}, tmp_path / "model.safetensors")
    assert why_unsound(tmp_path) == "b in model.safetensors is not finite"


def test_it_is_found_in_the_last_chunk_of_the_last_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_files, "CHUNK_BYTES", 1024)
    values = torch.zeros(1_000)
    save_file({"a": values}, tmp_path / "model-1.safetensors")
    values[-1] = float("nan")
    save_file({"b": values}, tmp_path / "model-2.safetensors")
    assert why_unsound(tmp_path) == "b in model-2.safetensors is not finite"


def with_optimizer(folder: Path, *, moment: float = 0.0, step: str = "4.0", lacks: str = "") -> None:
    save_file({"w": torch.ones(3)}, folder / "model.safetensors")
    (folder / "optimizer").mkdir()
    moments = {f"w/{name}": torch.full((3,), moment) for name in ("exp_avg", "exp_avg_sq") if name != lacks}
    save_file(moments, folder / "optimizer" / "adam.safetensors")
    (folder / "optimizer" / "adam.json").write_text('{"steps": {"w": %s}}' % step)  # noqa: UP031 - braces


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: with_optimizer(folder), None),
        (lambda folder: with_optimizer(folder, moment=float("inf")), "w/exp_avg in optimizer/adam.safetensors"),
        (lambda folder: with_optimizer(folder, step="NaN"), "the step count of w in optimizer/adam.json is not finite"),
        (lambda folder: with_optimizer(folder, lacks="exp_avg_sq"), "optimizer/adam.safetensors lacks exp_avg_sq of w"),
        (lambda folder: None, "it has no *.safetensors file"),
    ],
)
def test_the_optimizer_s_state_is_looked_at_too(tmp_path: Path, spoil: Callable[[Path], None], why: str | None) -> None:
    spoil(tmp_path)
    found = why_unsound(tmp_path)
    if why is None:
        assert found is None
    else:
        assert found is not None and found.startswith(why)
    if why is None or "optimizer" in why:
        assert why_unsound(tmp_path, optimizer=False) is None, "a state that is not used does not matter"


@pytest.mark.parametrize("name", ["adam.json", "adam.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe", b'{"steps": [1]}', b'{"steps": {"w": "x"}}'])
def test_a_state_that_can_t_be_read_is_a_sentence(tmp_path: Path, name: str, content: bytes | None) -> None:
    with_optimizer(tmp_path)
    path = tmp_path / "optimizer" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=name) as refused:
        why_unsound(tmp_path)
    assert "\n" not in str(refused.value)


def sparse_weights(folder: Path, *, values: int) -> None:
    """Weights of any size that take no room: a header, and a hole."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [values], "data_offsets": [0, 2 * values]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2 * values)


@pytest.mark.parametrize(
    ("config", "bytes_per_value"),
    [
        (UpdateConfig(), 12),
        (UpdateConfig(carry_optimizer=False), 4),
        (UpdateConfig(lora=LoraSettings()), 4.24),  # the merged weights, and two hundredths of them with moments
    ],
)
def test_room_is_needed_for_weights_and_moments(tmp_path: Path, config: UpdateConfig, bytes_per_value: float) -> None:
    sparse_weights(tmp_path, values=1_000_000)
    (tmp_path / "config.json").write_text("{}")
    assert needed_bytes(tmp_path, config) == bytes_per_value * 1_000_000 + 2


def test_a_policy_that_no_disk_has_room_for_is_refused(tmp_path: Path) -> None:
    sparse_weights(tmp_path, values=1_000_000)
    require_space(tmp_path, tmp_path, UpdateConfig())
    sparse_weights(tmp_path, values=1_000_000_000_000)
    with pytest.raises(BadInput, match=r"needs 12600\.\d+ GB in .*, where .* GB are free; free some"):
        require_space(tmp_path, tmp_path, UpdateConfig())
