"""When no policy can be proved to be served, the supervisor starts the server again, with the earlier policy.

The supervisor is the real one; the server is `tests/training/loopback_vllm.py`, for a real one takes a minute to start.
"""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from loop_configs import WriteConfig
from safetensors.numpy import save_file

from flows.policy.publishing import ensure_served
from flows.policy.waiting import StageError
from flows.services.model_servers import VLLM, socket_path
from flows.services.processes import marked, stop
from flows.services.service_files import ServiceSpec, SupervisorSpec, read_status, spec_file
from flows.services.services import wait_ready
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from training.checkpointing.checkpoints import import_policy, write_checkpoint
from training.checkpointing.weight_digests import read_weights

SERVER = Path(__file__).parents[1] / "training" / "loopback_vllm.py"


@pytest.fixture
def folder(write_config: WriteConfig, model_directory: Path) -> RunFolder:
    """A run with the versions 0 and 1."""
    write(model_directory, 0.1)
    deadlines = ["serving.publish_deadline_s=2", "serving.rollback_deadline_s=2", "serving.start_deadline_s=60"]
    folder = RunFolder.create("small", load_config(write_config(), deadlines))
    import_policy(folder.config.policy.model, folder.policies)
    with write_checkpoint(folder.policies, 1, parent=0, step=1) as version:
        write(version, 0.2)
    return folder


def write(model: Path, value: float) -> None:
    (model / "model.safetensors").unlink(missing_ok=True)
    save_file({"a": np.full((2, 3), value, "float32")}, model / "model.safetensors")
    (model / "config.json").write_text(json.dumps({"model_type": "none", "dtype": "float32"}))


@pytest.fixture(autouse=True)
def supervised(folder: RunFolder) -> Generator[None]:
    """A supervisor with a server that starts in a second."""
    state_dir = folder.config.services.state_dir
    state_dir.mkdir(parents=True, exist_ok=True)
    uds = str(socket_path(state_dir))
    command = [sys.executable, str(SERVER), "--uds", uds, "--model", str(folder.config.policy.model)]
    service = ServiceSpec(name=VLLM, command=command, address=uds, health_url="http://policy/health", socket=uds)
    spec_file(state_dir).write_text(SupervisorSpec(working_dir=str(Path.cwd()), services=[service]).model_dump_json())
    with subprocess.Popen(
        [sys.executable, "-m", "flows.services.supervisor", str(state_dir)], stderr=subprocess.DEVNULL
    ) as own:
        try:
            wait_ready(state_dir, (), deadline_s=60)
            yield
        finally:
            own.terminate()
            own.wait(30)
            stop(marked(state_dir), term_s=0)


def ask(folder: RunFolder, path: str, **content: str) -> dict[str, Any]:
    """One call to the server, a POST when it has content."""
    transport = httpx.HTTPTransport(uds=str(socket_path(folder.config.services.state_dir)))
    with httpx.Client(transport=transport, base_url="http://policy") as http:
        return (http.post(path, json=content) if content else http.get(path)).json()


def restarts(folder: RunFolder) -> int:
    status = read_status(folder.config.services.state_dir)
    assert status is not None
    return status.service(VLLM).restarts


async def test_a_broken_engine_is_started_again_with_the_earlier_policy(folder: RunFolder) -> None:
    first = await ensure_served(folder, 0)
    ask(folder, "/fault", **{"/collective_rpc": "break"})

    with pytest.raises(StageError) as stopped:
        await ensure_served(folder, 1)

    assert str(stopped.value).startswith("policy small:1 cannot be proved to be served, so the loop stops: ")
    assert str(stopped.value).endswith("vLLM was started again and serves small:0") and "\n" not in str(stopped.value)
    assert restarts(folder) == 1
    assert ask(folder, "/weight_info") == {"weight_version": "small:0"}
    assert ask(folder, "/is_paused") == {"is_paused": False}
    second = await ensure_served(folder, 1)
    assert (second.tag, restarts(folder)) == ("small:1", 1) and second.model != first.model


async def test_what_a_killed_publisher_broke_is_no_fault_of_the_next_one(folder: RunFolder) -> None:
    await ensure_served(folder, 0)
    ask(folder, "/update_weight_version", new_version="unproved small:1")
    ask(folder, "/fault", **{"/collective_rpc": "break"})

    assert (await ensure_served(folder, 1)).tag == "small:1"
    assert restarts(folder) == 1


async def test_a_server_that_hangs_is_started_again(folder: RunFolder) -> None:
    await ensure_served(folder, 0)
    ask(folder, "/fault", **{"/is_paused": "hang"})

    assert (await ensure_served(folder, 1)).tag == "small:1"
    assert restarts(folder) == 1


async def test_a_policy_of_the_same_name_from_elsewhere_is_not_taken_for_ours(folder: RunFolder) -> None:
    await ensure_served(folder, 1)
    theirs = RunFolder(folder.root.with_name("elsewhere") / folder.name, folder.config)
    import_policy(folder.config.policy.model, theirs.policies)
    with write_checkpoint(theirs.policies, 1, parent=0, step=1) as version:
        write(version, 0.7)

    assert (await ensure_served(theirs, 1)).tag == "small:1"
    held = ask(folder, "/weight_checker", action="checksum")["checksums"]
    assert set(held.values()) == read_weights(theirs.policies / "v0001").digests


async def test_files_that_are_no_policy_stop_the_stage_in_a_sentence(folder: RunFolder) -> None:
    await ensure_served(folder, 0)
    (folder.policies / "v0001" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(StageError, match="policy small:1 cannot be served, and the server was left as it was: "):
        await ensure_served(folder, 1)
    assert ask(folder, "/weight_info") == {"weight_version": "small:0"}
