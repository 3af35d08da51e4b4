"""The loop with its vLLM behind the door of another `rl-loop up`: two state folders stand for two machines."""

import re
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from real_policies import Policies
from real_stack import Stack, served_version, write_config
from run_invariants import check_finished

from flows.policy.publishing import ensure_served
from flows.services.model_servers import VLLM, socket_path
from flows.services.ports import choose_ports
from flows.services.processes import marked, stop
from flows.services.service_files import SupervisorSpec, spec_file
from flows.services.services import wait_ready
from flows.services.specs import service_specs
from flows.settings.checkout import PROJECT
from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from training.lean_imports import prepare as prepare_imports

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


@contextmanager
def machine(home: Path, *settings: str) -> Generator[tuple[Stack, str]]:
    """Another machine with a model, and the address of its door."""
    far = Stack(home, write_config(home))
    try:
        up = far.rl_loop("up", "--only", "models", "-c", far.config, "services.models_port=0", *settings)
        assert up.status == 0, up.out
        yield far, re.findall(r"http://127\.0\.0\.1:\d+", up.out.split("door")[-1])[0]
    finally:
        far.rl_loop("down", "-c", far.config)


async def test_two_machines_serve_one_policy_and_one_of_them_may_be_lost(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adapters over version 0, to real servers; the loop around them is that of every other run."""
    monkeypatch.setenv("RL_LOOP_MODELS_TOKEN", "a-token-of-more-than-16-characters")
    here, *there = (tmp_path_factory.mktemp(name) for name in ("here", "one", "two"))
    adapters = ("serving.adapter_rank=8", "update.lora={rank: 4, alpha: 8}")
    with ThreadPoolExecutor() as threads, ExitStack() as stack:
        # Both at once: each takes a minute to start.
        opened = [stack.enter_context(ExitStack()) for _ in there]
        begun = [
            threads.submit(one.enter_context, machine(home, *adapters)) for one, home in zip(opened, there, strict=True)
        ]
        far, addresses = zip(*(one.result() for one in begun), strict=True)
        config = load_config(elsewhere(write_config(here), list(addresses)), adapters)
        prepare_imports()
        policies = Policies(RunFolder.create("spread", config))
        policies.add_adapter(1, config.update)
        policies.add_adapter(2, config.update)
        stack.enter_context(doors(config))

        base = await ensure_served(policies.folder, 0)
        assert [served_version(one) for one in far] == ["spread:0"] * 2 and "@" not in base.model
        served = await ensure_served(policies.folder, 1)
        assert [served_version(one) for one in far] == ["spread:1"] * 2
        assert "@spread:1-" in served.model and "@spread:1-" in served.others[0]
        assert min(requests_of(one) for one in far) > 0

        far[1].service("vllm").kill()
        again = await ensure_served(policies.folder, 2)
        assert [served_version(one) for one in far] == ["spread:2"] * 2
        assert again.model.partition("@")[0] == served.model.partition("@")[0] and again.others[0] != served.others[0]


@contextmanager
def doors(config: LoopConfig) -> Generator[None]:
    """The far doors of a configuration under a supervisor, without the rest of the services."""
    state = config.services.state_dir
    state.mkdir(parents=True)
    specs = service_specs(config, choose_ports(config.services), PROJECT).services
    wanted = [one for one in specs if one.name.startswith(VLLM)]
    spec_file(state).write_text(SupervisorSpec(working_dir=str(PROJECT), services=wanted).model_dump_json())
    with subprocess.Popen([sys.executable, "-m", "flows.services.supervisor", str(state)]) as supervisor:
        try:
            wait_ready(state, (), deadline_s=120)
            yield
        finally:
            supervisor.terminate()
            supervisor.wait(30)
            stop(marked(state), term_s=0)


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
