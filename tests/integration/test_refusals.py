"""The installed command, as a process of its own: a refusal is one sentence, and starts nothing.

tests/flows/test_rl_loop_cli.py has the other mistakes, within one process.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from real_stack import write_config

from flows.services.processes import marked

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """The one sentence of an `rl-loop run` that must not begin; nothing is written or started."""
    config = write_config(tmp_path)

    def run(*overrides: str, **environment: str) -> str:
        command = [Path(sys.executable).with_name("rl-loop"), "run", config, *overrides]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 1, done
        assert done.stdout == "" and done.stderr.startswith("rl-loop: ") and done.stderr.count("\n") == 1, done
        assert marked(tmp_path / "state") == []
        assert [path.name for path in tmp_path.iterdir()] == [config.name]
        return done.stderr.removeprefix("rl-loop: ").strip()

    return run


def test_a_wrong_type(refused: Refused) -> None:
    assert refused("rollout.shards=many").startswith("rollout.shards: input should be a valid integer")


def test_a_model_directory_without_weights(refused: Refused, tmp_path: Path) -> None:
    model = tmp_path.parent / f"{tmp_path.name}-model"
    model.mkdir()
    assert refused(f"policy.model={model}") == f"policy.model: {model} is no model directory, it has no config.json"
    (model / "config.json").write_text("{}")
    assert refused(f"policy.model={model}") == f"policy.model: {model} has no weights (*.safetensors)"


def test_no_chromium_on_the_path(refused: Refused, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    sentence = refused(PATH=nowhere, PLAYWRIGHT_BROWSERS_PATH=nowhere, HOME=nowhere, BROWSER_SERVICE_CHROMIUM="")
    assert sentence.startswith("no Chromium found: install one") and "BROWSER_SERVICE_CHROMIUM" in sentence
