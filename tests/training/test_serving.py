"""Serving without a server; tests/integration publishes for real."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.checkpointing.weight_digests import read_weights
from training.publishing.serving import _collapsed
from training.publishing.vllm_server import ServerError, command, environment
from training.serving_config import ServingConfig


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def test_digests_are_of_each_tensor_and_of_the_joins_that_vllm_makes(tmp_path: Path) -> None:
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    attention = {f"layers.0.self_attn.{name}.weight": torch.randn(4, 4) for name in names}
    mlp = {f"layers.0.mlp.{name}.weight": torch.randn(6, 4) for name in ("gate_proj", "up_proj")}
    save_file({**attention, **mlp}, tmp_path / "model.safetensors")
    found = read_weights(tmp_path).digests
    assert {digest(tensor) for tensor in (*attention.values(), *mlp.values())} <= found
    q, k, v, _ = attention.values()
    gate, up = mlp.values()
    assert digest(torch.cat([q, k, v])) in found
    assert digest(torch.cat([gate, up])) in found
    assert digest(torch.cat([k, q, v])) not in found
    assert len(found) == 8


def test_each_picture_goes_back_to_one_placeholder() -> None:
    assert _collapsed([1, 9, 9, 9, 2, 9, 9, 3], 9) == [1, 9, 2, 9, 3]
    assert _collapsed([1, 1, 2], None) == [1, 1, 2]


def test_a_server_gets_a_model_directory_and_a_short_socket(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no model directory"):
        command(ServingConfig(), model=tmp_path, uds=Path("/tmp/x.sock"), name="p")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ServerError, match="shorter directory"):
        command(ServingConfig(), model=tmp_path, uds=Path("/tmp") / ("x" * 120), name="p")
    line = command(ServingConfig(enforce_eager=True), model=tmp_path, uds=Path("/tmp/x.sock"), name="p")
    assert line[line.index("--uds") + 1] == "/tmp/x.sock"
    assert "--host" not in line  # a port would be in reach of every page in every browser


def test_spans_are_sent_where_and_as_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    to = "http://127.0.0.1:4318/v1/traces"
    line = command(ServingConfig(), model=tmp_path, uds=Path("/tmp/x.sock"), name="p", traces_to=to)
    assert line[line.index("--otlp-traces-endpoint") + 1] == to
    assert "--otlp-traces-endpoint" not in command(ServingConfig(), model=tmp_path, uds=Path("/tmp/x.sock"), name="p")
    ours = environment(ServingConfig(), {})
    assert (ours["OTEL_SERVICE_NAME"], ours["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]) == ("vllm", "http/protobuf")
    assert environment(ServingConfig(), {"OTEL_SERVICE_NAME": "mine"})["OTEL_SERVICE_NAME"] == "mine"


def test_threads_sleep_when_cores_are_shared() -> None:
    shared = environment(ServingConfig(cpu_threads=1), {"PATH": "/bin"})
    assert (shared["OMP_NUM_THREADS"], shared["OMP_WAIT_POLICY"], shared["PATH"]) == ("1", "PASSIVE", "/bin")
    assert shared["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"  # no worker process that spins between messages
    assert "OMP_NUM_THREADS" not in environment(ServingConfig(), {})
    sharded = environment(ServingConfig(cpu_threads=1, tensor_parallel_size=2), {})
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in sharded


def test_the_command_refuses_in_one_sentence(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "training.publishing.vllm_server",
        "--model",
        str(tmp_path / "none"),
        "--uds",
        "/tmp/x.sock",
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert done.stderr.strip().count("\n") == 0
    assert "no model directory" in done.stderr
