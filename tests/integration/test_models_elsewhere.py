"""The loop with its vLLM behind the door of another `rl-loop up`: two state folders stand for two machines."""

import re
from pathlib import Path

import pytest
import yaml
from real_stack import Stack, write_config
from run_invariants import check_finished

pytestmark = [pytest.mark.stack, pytest.mark.chaos]


def test_a_policy_is_trained_that_another_machine_serves(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RL_LOOP_MODELS_TOKEN", "a-token-of-more-than-16-characters")
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    far = Stack(there, write_config(there))
    try:
        up = far.rl_loop("up", "--only", "models", "-c", far.config, "services.models_port=0")
        assert up.status == 0 and "door is ready" in up.out and "prefect" not in up.out, up.out
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+", up.out.split("door")[-1])[:1]
        stack = Stack(here, elsewhere(write_config(here), address))
        try:
            done = stack.rl_loop("run", stack.config, "--name", "far", "iterations=1")
            assert done.status == 0, done.out
            check_finished(stack, "far")
        finally:
            stack.rl_loop("down", "-c", stack.config)
        monkeypatch.setenv("RL_LOOP_MODELS_TOKEN", "another-token-of-more-than-16")
        wrong = stack.rl_loop("up", "-c", stack.config)
        assert wrong.status == 1 and "answers 401; is it up, and is the token that of its machine?" in wrong.out
    finally:
        far.rl_loop("down", "-c", far.config)


def elsewhere(config: Path, address: str) -> Path:
    """The configuration with its models at an address."""
    data = yaml.safe_load(config.read_text())
    data["services"]["models"] = address
    config.write_text(yaml.safe_dump(data, sort_keys=False))
    return config
