"""The loop with its vLLM behind the door of another `rl-loop up`: two state folders stand for two machines."""

import re
from pathlib import Path

import httpx
import pytest
import yaml
from real_stack import Stack, served_version, write_config
from run_invariants import check_finished

from flows.policy.served_by import tag_of
from flows.services.model_servers import socket_path
from training.checkpointing.checkpoints import versions

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


def test_two_machines_serve_one_policy_and_one_of_them_may_be_lost(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RL_LOOP_MODELS_TOKEN", "a-token-of-more-than-16-characters")
    here, *there = (tmp_path_factory.mktemp(name) for name in ("here", "one", "two"))
    far = [Stack(home, write_config(home)) for home in there]
    try:
        addresses = [started(one) for one in far]
        stack = Stack(here, elsewhere(write_config(here), addresses))
        try:
            done = stack.rl_loop("run", stack.config, "--name", "spread", "iterations=1")
            assert done.status == 0, done.out
            check_finished(stack, "spread")
            assert [served_version(one) for one in far] == [newest(stack)] * 2
            asked = [requests_of(one) for one in far]
            assert min(asked) > 0.2 * sum(asked), asked

            far[1].service("vllm").kill()
            resumed = stack.rl_loop("resume", "spread", "-c", stack.config, "iterations=2")
            assert resumed.status == 0, resumed.out
            check_finished(stack, "spread")
            assert [served_version(one) for one in far] == [newest(stack)] * 2

            far[1].rl_loop("down", "-c", far[1].config)
            refused = stack.rl_loop("resume", "spread", "-c", stack.config, "iterations=3", "services.heal_s=5")
            assert refused.status == 1 and served_version(far[0]) == newest(stack), refused.out
            # Whoever notices first: `resume`, by the supervisor's status, or the stage.
            assert "vllm-2" in refused.out or "vLLM 2 of 2" in refused.out, refused.out
        finally:
            stack.rl_loop("down", "-c", stack.config)
    finally:
        for one in far:
            one.rl_loop("down", "-c", one.config)


def newest(stack: Stack) -> str:
    """The server's name for the newest version of the run."""
    folder = stack.folder("spread")
    return tag_of(folder, versions(folder.policies)[-1])


def started(far: Stack) -> str:
    """The address of the door that another machine opens."""
    up = far.rl_loop("up", "--only", "models", "-c", far.config, "services.models_port=0")
    assert up.status == 0, up.out
    return re.findall(r"http://127\.0\.0\.1:\d+", up.out.split("door")[-1])[0]


def requests_of(far: Stack) -> int:
    """The number of requests that a vLLM has finished."""
    transport = httpx.HTTPTransport(uds=str(socket_path(far.loop.services.state_dir)))
    with httpx.Client(transport=transport, base_url="http://policy", timeout=30) as server:
        text = server.get("/metrics").text
    return round(sum(float(value) for value in re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", text, re.M)))


def elsewhere(config: Path, address: str | list[str]) -> Path:
    """The configuration with its models at an address, or at several."""
    data = yaml.safe_load(config.read_text())
    data["services"]["models"] = address
    config.write_text(yaml.safe_dump(data, sort_keys=False))
    return config
