"""Weights that are sent to a real vLLM, whole and as patches, and a sender that is killed in between."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from real_policies import Policies
from real_stack import wait_until, write_config

from flows.services.model_servers import socket_path
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from training.lean_imports import prepare as prepare_imports
from training.publishing.prepared_policy import prepare
from training.publishing.publish import PolicyLost, PublishReport, publish
from training.publishing.served_record import ServedRecord, read_record
from training.publishing.serving import PolicyServer, PublishError

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
READY = "Application startup complete"
FAILPOINT = "RL_LOOP_FAILPOINT"
GLOO = ["serving.transfer=gloo", "serving.transfer_deltas=true", "serving.publish_deadline_s=60"]


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Generator[Policies]:
    """A run whose vLLM takes transfers. Version 1 has another vision tower, version 2 one more number that differs."""
    home = tmp_path_factory.mktemp("sent")
    folder = RunFolder.create("sent", load_config(write_config(home), GLOO))
    prepare_imports()
    policies = Policies(folder)
    policies.add(1, step=0.0, change=other_eyes)
    policies.add(2, step=0.0, change=other_eyes_and_a_number)
    uds, serving, log = socket_of(folder), home / "serving.json", home / "vllm.log"
    uds.parent.mkdir(parents=True)
    serving.write_text(folder.config.serving.model_dump_json())
    command = [*(sys.executable, "-m", "training.publishing.vllm_server"), "--model", str(policies.path(0))]
    with log.open("w") as out:
        server = subprocess.Popen([*command, "--uds", uds, "--config", serving], stdout=out, stderr=out)
        try:
            wait_until("vLLM", lambda: READY in log.read_text() or server.poll() is not None)
            assert server.poll() is None, log.read_text()[-2_000:]
            yield policies
        finally:
            server.terminate()
            server.wait(60)


def socket_of(folder: RunFolder) -> Path:
    return socket_path(folder.config.services.state_dir)


def other_eyes(tensors: dict) -> None:
    """Changes the vision tower, and nothing else."""
    for name, tensor in tensors.items():
        if ".visual." in name:
            tensors[name] = tensor * 1.2


def other_eyes_and_a_number(tensors: dict) -> None:
    """A step from that: in a matrix that vLLM packs on a CPU."""
    other_eyes(tensors)
    name = next(name for name in sorted(tensors) if name.endswith("layers.1.mlp.down_proj.weight"))
    tensors[name] = tensors[name].clone()
    tensors[name][3, 5] += 0.5


async def put(policies: Policies, version: int) -> PublishReport:
    """Publishes a version."""
    folder = policies.folder
    wanted = prepare(policies.path(version), f"sent:{version}", pictures=folder.root)
    async with PolicyServer(socket_of(folder), folder.config.serving) as server:
        return await publish(server, wanted, folder.config.serving)


async def test_weights_are_sent_whole_and_then_as_patches_and_a_torn_transfer_is_rolled_back(
    policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sum(path.stat().st_size for path in policies.path(0).glob("*.safetensors"))
    first = await put(policies, 0)
    assert first.bytes_sent is not None and 0.98 * whole < first.bytes_sent <= whole
    eyes = await put(policies, 1)
    assert eyes.bytes_sent is not None and 0 < eyes.bytes_sent < 0.6 * whole, "only the vision tower is sent"
    assert eyes.tensors_matched == eyes.tensors - eyes.tensors_opaque and eyes.tensors_changed > 0

    monkeypatch.setenv(FAILPOINT, "transfer.first_tensor:kill")
    with pytest.raises(PublishError, match=r"the weights could not be sent: .*; sent:1 is served again") as torn:
        await put(policies, 2)
    assert not isinstance(torn.value, PolicyLost) and read(policies).version == "sent:1"
    monkeypatch.delenv(FAILPOINT)

    again = await put(policies, 2)
    assert again.bytes_sent == first.bytes_sent, "the server read the earlier policy from disk, and can't patch that"
    assert again.discriminates and again.canary_position == pytest.approx(1.0, abs=0.01)
    back = await put(policies, 1)
    assert back.bytes_sent == 8, "one number and its place, in a matrix that the server has packed"
    assert back.canary_gap == pytest.approx(eyes.canary_gap, abs=1e-5)


def read(policies: Policies) -> ServedRecord:
    """The record of what is proved to be served."""
    record = read_record(socket_of(policies.folder))
    assert record is not None
    return record
