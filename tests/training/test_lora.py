"""LoRA: an adapter over version 0 that goes on from version to version, and merged weights that any server can load."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from stored_rollouts import Rollout
from test_update import CONFIG, arguments, request_of

from training.checkpointing.checkpoints import read_checkpoint
from training.learning.models import load_policy, pick_device
from training.learning.update import main
from training.learning.update_inputs import Request

__all__ = ["request_of"]  # a fixture
RANK, ALPHA = 4, 8
LORA = {"rank": RANK, "alpha": ALPHA, "target_modules": ["q_proj", "down_proj"]}


def product(folder: Path, layer: str) -> np.ndarray:
    """The change of a layer's weights that an adapter stands for, computed without peft."""
    tensors = load_file(folder / "adapter" / "adapter_model.safetensors")
    (down,) = (value for name, value in tensors.items() if layer in name and "lora_A" in name)
    (up,) = (value for name, value in tensors.items() if layer in name and "lora_B" in name)
    assert down.shape[0] == up.shape[1] == RANK
    return ALPHA / RANK * up @ down


def played_by_version_1(request: Request) -> Request:
    """The same trajectories as if version 1 had played them."""
    rollout = Rollout(request.trajectories.parent, request.policy)
    rollout.rescore(load_policy(request.policies / "v0001", dtype="float32", device=pick_device("cpu")))
    for path in request.trajectories.glob("*/trajectory.json"):
        path.write_text(path.read_text().replace('"policy_version":0', '"policy_version":1'))
    return request._replace(
        version=2, policy=request.policies / "v0001", report=request.report.with_name("second.json")
    )


def test_an_adapter_goes_on_from_version_to_version(request_of: Request, caplog: pytest.LogCaptureFixture) -> None:
    request_of.config.write_text(json.dumps(CONFIG | {"lora": LORA}))
    assert main(arguments(request_of)) == 0, caplog.text
    second = played_by_version_1(request_of)
    assert main(arguments(second)) == 0, caplog.text
    base = load_file(request_of.policy / "model.safetensors")
    for version in (1, 2):
        folder = request_of.policies / f"v{version:04d}"
        weights = load_file(folder / "model.safetensors")
        assert weights.keys() == base.keys()
        changed = {name for name in base if not np.array_equal(base[name], weights[name])}
        assert changed == {
            name for name in base if "language" in name and ("q_proj.w" in name or "down_proj.w" in name)
        }
        for name in changed:
            layer = name.partition("layers.")[2].removesuffix(".weight")
            assert np.allclose(weights[name] - base[name], product(folder, layer), atol=1e-6)
        steps = json.loads((folder / "optimizer" / "adam.json").read_bytes())["steps"]
        assert len(steps) == 2 * len(changed) and set(steps.values()) == {2.0 * version}
        assert read_checkpoint(folder).step == 2 * version
    refuses_another_shape(second, caplog)


def refuses_another_shape(request: Request, caplog: pytest.LogCaptureFixture) -> None:
    third = request._replace(version=3)
    for changes, sentence in (
        ({"lora": LORA | {"rank": 8}}, "update.lora differs from the adapter of"),
        ({}, "which this model does not have"),
    ):
        request.config.write_text(json.dumps(CONFIG | changes))
        caplog.clear()
        assert main(arguments(third)) == 2
        assert sentence in caplog.text


def test_a_layer_that_the_model_lacks_is_one_sentence(request_of: Request, caplog: pytest.LogCaptureFixture) -> None:
    request_of.config.write_text(json.dumps(CONFIG | {"lora": LORA | {"target_modules": ["w_nowhere"]}}))
    assert main(arguments(request_of)) == 2
    assert "update.lora.target_modules: " in caplog.text and "w_nowhere" in caplog.text
