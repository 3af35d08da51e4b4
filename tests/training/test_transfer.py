"""Weights that are sent to a server: patches are exact, and a publish by transfer ends as one from disk does."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from loopback_vllm import Loopback
from pydantic import ValidationError
from safetensors.torch import save_file
from small_policies import tensors, write_model, write_version
from test_publish import policies, vllm

from training.errors import CheckpointError
from training.publishing.prepared_policy import prepare
from training.publishing.publish import PolicyLost, PublishReport, publish
from training.publishing.served_record import read_record
from training.publishing.serving import PolicyServer, PublishError
from training.publishing.transfer.patches import Patch, changed, whole
from training.publishing.vllm_server import command, environment
from training.serving_config import ServingConfig

__all__ = ["policies", "vllm"]  # fixtures

SENT = ServingConfig(transfer="gloo", transfer_deltas=True, publish_deadline_s=60, rollback_deadline_s=10)
NAN = float("nan")
PUBLISHER = """
import asyncio, sys
from pathlib import Path
from training.publishing.prepared_policy import prepare
from training.publishing.publish import publish
from training.publishing.serving import PolicyServer
from training.serving_config import ServingConfig

async def main(policies, config):
    async with PolicyServer(policies.parent / "vllm.sock", config) as server:
        await publish(server, prepare(policies / "v0001", "run:1", pictures=policies), config)

asyncio.run(main(Path(sys.argv[1]), ServingConfig(transfer="gloo")))
"""


def written(folder: Path, **weights: torch.Tensor) -> Path:
    """A folder with a file of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "change", [lambda t: t, lambda t: t.neg(), lambda t: t.fill_(NAN), lambda t: t.view(-1)[7:9].zero_()]
)
def test_a_patched_tensor_is_the_new_one_bit_for_bit(
    tmp_path: Path, dtype: torch.dtype, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    old = torch.randn(40, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    old[0, 0] = 0.0
    new = old.clone()
    new[0, 0] = -0.0
    change(new)
    held = {name: patch.onto(None) for name, patch in whole(written(tmp_path / "old", a=old, b=old[:3].clone()))}
    patches = changed(written(tmp_path / "new", a=new, b=old[:3].clone()), tmp_path / "old")
    assert [name for name, _ in patches] == ["a"], "equal tensors are left out"
    for name, patch in patches:
        held[name] = patch.onto(held[name])
    bits = torch.int32 if dtype == torch.float32 else torch.int16
    assert torch.equal(held["a"].view(bits), new.view(bits)) and torch.equal(held["b"], old[:3])


def test_the_smaller_of_patch_and_tensor_is_sent(tmp_path: Path) -> None:
    old = torch.zeros(100)
    some, most = old.clone(), old.clone()
    some[:49] = 1.0
    most[:50] = 1.0
    written(tmp_path / "old", a=old)
    (_, patch), *_ = changed(written(tmp_path / "some", a=some), tmp_path / "old")
    assert patch.indices is not None and patch.bytes == 49 * 8
    (_, patch), *_ = changed(written(tmp_path / "most", a=most), tmp_path / "old")
    assert patch.indices is None and patch.bytes == 400


def test_checkpoints_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one", a=torch.zeros(3)), written(tmp_path / "two", a=torch.zeros(4))
    more = written(tmp_path / "more", a=torch.zeros(3), b=torch.zeros(1))
    with pytest.raises(CheckpointError, match=r"one has no a of the shape and type that .*two has"):
        changed(two, one)
    with pytest.raises(CheckpointError, match=r"one has no b of the shape"):
        changed(more, one)
    with pytest.raises(CheckpointError, match=r"one lacks b, which .*more has"):
        changed(one, more)
    (one / "model.safetensors").write_bytes(b"\x08")
    with pytest.raises(CheckpointError, match=r"model\.safetensors can't be read"):
        whole(one)
    with pytest.raises(CheckpointError, match="has no weights"):
        whole(tmp_path)
    with pytest.raises(ValueError, match="a patch of a tensor that is not held"):
        Patch(torch.zeros(1), torch.zeros(1, dtype=torch.int32), (3,)).onto(None)


async def put(policies: Path, version: int, config: ServingConfig = SENT) -> PublishReport:
    async with PolicyServer(policies.parent / "vllm.sock", config) as server:
        wanted = prepare(policies / f"v{version:04d}", f"run:{version}", pictures=policies)
        return await publish(server, wanted, config)


async def test_a_publish_by_transfer_is_proved_and_falls_back_to_disk(policies: Path, vllm: Loopback) -> None:
    assert (await put(policies, 0)).bytes_sent
    assert "/collective_rpc" not in vllm.calls, "nothing is read from disk"
    report = await put(policies, 1)
    assert report.bytes_sent and report.discriminates and report.tensors_matched == 2
    assert (vllm.version, vllm.paused) == ("run:1", False)

    vllm.faults = {"/update_weights": "fail once"}
    with pytest.raises(PublishError, match=r"the weights could not be sent: .* run:1 is served again") as refused:
        await put(policies, 2)
    assert not isinstance(refused.value, PolicyLost) and vllm.holds.name == "v0001"
    record = read_record(policies.parent / "vllm.sock")
    assert record is not None and not record.sent, "it was read from disk, and is no copy to patch"
    assert (await put(policies, 2)).bytes_sent and vllm.version == "run:2"

    vllm.version = "unproved run:2"  # what a killed publisher leaves
    report = await put(policies, 1)
    assert report.bytes_sent is None and vllm.holds.name == "v0001", "after a fault the server reads from disk"


async def test_a_server_that_does_not_hold_the_base_refuses_the_patch(policies: Path, vllm: Loopback) -> None:
    await put(policies, 0)
    await put(policies, 1)
    vllm.receiver.keep({}, "other weights")
    with pytest.raises(PublishError, match=r"this server does not hold the weights .*; run:1 is served again"):
        await put(policies, 2)


async def test_a_base_that_was_made_again_is_no_base(policies: Path, vllm: Loopback) -> None:
    """The digests of the record would belong to a folder with other weights, and the patch to nothing."""
    config = SENT.model_copy(update={"weight_check": "changed"})
    await put(policies, 0, config)
    await put(policies, 1, config)
    shutil.rmtree(policies / "v0001")
    write_version(policies, 1, tensors(0.25))
    report = await put(policies, 1, config)
    assert report.bytes_sent and float(vllm.tensors["a"][0, 0]) == pytest.approx(0.25)


async def test_a_version_with_other_tensors_is_sent_whole(policies: Path, vllm: Loopback) -> None:
    await put(policies, 0)
    whole_version = (await put(policies, 1)).bytes_sent
    write_version(policies, 3, {name: value.astype(np.float16) for name, value in tensors(0.3).items()})
    report = await put(policies, 3)
    assert whole_version and report.bytes_sent == whole_version // 2 and vllm.version == "run:3"


async def test_without_deltas_no_copy_is_kept(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1, SENT.model_copy(update={"transfer_deltas": False}))
    assert vllm.receiver._held == {}
    await put(policies, 2)
    assert set(vllm.receiver._held) == set(tensors(0.3))


async def test_a_server_without_transfers_is_one_sentence_at_once(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    vllm.faults = {"/init_weight_transfer_engine": "fail"}
    began = time.monotonic()
    with pytest.raises(PublishError, match=r"answered 500 to /init_weight_transfer_engine: .*; run:1 is served again"):
        await put(policies, 2)
    assert time.monotonic() - began < SENT.publish_deadline_s / 2, "the group is not waited for"


async def test_a_sender_whose_publisher_is_killed_sends_nothing_more(policies: Path, vllm: Loopback) -> None:
    vllm.faults = {"/init_weight_transfer_engine": "hang once"}
    publisher = await asyncio.create_subprocess_exec(sys.executable, "-c", PUBLISHER, policies)
    try:
        assert await asyncio.to_thread(vllm.reached.wait, 60)
        (sender,) = psutil.Process(publisher.pid).children(recursive=True)
    finally:
        publisher.kill()
        await publisher.wait()
    gone, alive = psutil.wait_procs([sender], timeout=10)
    assert gone and not alive


def test_a_server_that_is_away_is_one_sentence(policies: Path) -> None:
    command = [sys.executable, "-m", "training.publishing.transfer.send", "--uds", policies.parent / "none.sock"]
    arguments = ["--way", "gloo", "--checkpoint", policies / "v0001", "--version", "x", "--deadline", "5"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("send: the vLLM server does not answer /get_world_size: "), done.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"transfer": "gloo", "adapter_rank": 8}, "transfer=gloo sends whole weights, and adapter_rank=8"),
        ({"transfer_deltas": True}, "transfer=disk sends nothing; set transfer=gloo"),
        ({"transfer": "gloo", "transfer_address": "here"}, "not a valid IPv4 address"),
        (
            {"transfer": "gloo", "transfer_address": "0.0.0.0"},
            "transfer_address=0.0.0.0 is no address that a server can reach",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ServingConfig.model_validate(settings)


def test_the_server_is_started_for_the_way(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", tensors(0.1))

    def line(**settings: object) -> str:
        config = ServingConfig.model_validate(settings)
        return " ".join(command(config, model=model, uds=tmp_path / "x.sock", name="p"))

    assert "--weight-transfer-config" not in line()
    assert '--weight-transfer-config {"backend": "rl_loop_gloo"}' in line(transfer="gloo", transfer_deltas=True)
    assert '{"backend": "nccl"}' in line(transfer="nccl")
    assert '{"backend": "sparse_nccl"}' in line(transfer="nccl", transfer_deltas=True)
    assert environment(SENT, {})["GLOO_SOCKET_IFNAME"] == "lo"
    elsewhere = ServingConfig.model_validate({"transfer": "gloo", "transfer_address": "10.0.0.1"})
    assert "GLOO_SOCKET_IFNAME" not in environment(elsewhere, {})
