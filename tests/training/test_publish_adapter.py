"""An adapter is served under a name of its own, with the same proof as weights, and the earlier one stays until then."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from loopback_vllm import Loopback, running_loopback
from small_policies import scores, tensors, write_model, write_version

from training.checkpointing.weight_digests import read_weights
from training.publishing.adapters import adapter_name, publish_adapter
from training.publishing.prepared_policy import prepare
from training.publishing.publish import PolicyLost, PublishReport
from training.publishing.served_record import read_record
from training.publishing.serving import PolicyServer, PublishError
from training.serving_config import ServingConfig

CONFIG = ServingConfig(publish_deadline_s=0.5, rollback_deadline_s=5, adapter_rank=16)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Version 0, and versions 1 to 3 with an adapter over it; the third's canary is wrong."""
    folder = tmp_path / "policies"
    write_version(folder, 0, tensors(0.1), canary=False)
    for version in (1, 2, 3):
        wrong = tuple(-9.0 for _ in scores(folder / "v0000")) if version == 3 else None
        write_version(folder, version, tensors(0.1 + version / 10), logprobs=wrong, adapter=True)
    return folder


@pytest.fixture
def vllm(tmp_path: Path, policies: Path) -> Generator[Loopback]:
    with running_loopback(tmp_path / "vllm.sock", write_model(tmp_path / "model", tensors(0.1))) as state:
        yield state


async def put(policies: Path, version: int) -> PublishReport:
    wanted = prepare(policies / f"v{version:04d}", f"run:{version}", pictures=policies)
    async with PolicyServer(policies.parent / "vllm.sock", CONFIG) as server:
        return await publish_adapter(server, wanted, read_weights(policies / "v0000"), CONFIG)


def served(vllm: Loopback) -> tuple[str, list[str]]:
    """The version that the server reports, and the versions whose adapters it holds."""
    return vllm.version, [name.partition("@")[2].rpartition("-")[0] for name in vllm.adapters]


def name_of(model: str, policies: Path, version: int) -> str:
    """The name of a version's adapter on a server."""
    return adapter_name(model, prepare(policies / f"v{version:04d}", f"run:{version}", pictures=policies))


async def test_a_version_has_a_name_of_its_own_and_two_are_loaded_at_most(policies: Path, vllm: Loopback) -> None:
    base = await put(policies, 0)
    assert base.model == vllm.model and (base.tensors_matched, base.canary_gap) == (2, None)
    first = await put(policies, 1)
    assert first.model == name_of(vllm.model, policies, 1) and first.canary_gap == pytest.approx(0.0)
    assert first.discriminates and first.canary_position == pytest.approx(1.0)
    await put(policies, 2)
    assert served(vllm) == ("run:2", ["run:1", "run:2"])
    await put(policies, 1)
    await put(policies, 2)
    assert served(vllm) == ("run:2", ["run:1", "run:2"])
    assert not {"/pause", "/collective_rpc"} & set(vllm.calls), "nothing is paused, no weights are read"
    record = read_record(policies.parent / "vllm.sock")
    assert record is not None and record.model == vllm.model
    assert record.adapter == name_of(vllm.model, policies, 2) and record.adapter.startswith(f"{vllm.model}@run:2-")
    assert vllm.calls.count("/v1/load_lora_adapter") == 2, "what a server has already is not loaded again"


async def test_an_adapter_of_another_run_of_the_same_name_has_another_name(policies: Path, vllm: Loopback) -> None:
    """vLLM keeps cached prefixes by an adapter's name and path, and here the paths are equal."""
    first = await put(policies, 1)
    shutil.rmtree(policies / "v0001")
    write_version(policies, 1, tensors(0.6), adapter=True)
    second = await put(policies, 1)
    assert second.model != first.model and list(vllm.adapters) == [second.model]
    assert second.canary_position == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("/weight_checker", "fail once"),
        ("/v1/load_lora_adapter", "fail once"),
        ("/v1/load_lora_adapter", "hang once"),
        ("/inference/v1/generate", "fail once"),
    ],
)
async def test_the_earlier_adapter_serves_on_whatever_fails(
    policies: Path, vllm: Loopback, route: str, fault: str
) -> None:
    await put(policies, 1)
    vllm.faults = {route: fault}
    with pytest.raises(PublishError, match="run:1 is served again") as refused:
        await put(policies, 2)
    assert served(vllm) == ("run:1", ["run:1"]) and not isinstance(refused.value, PolicyLost)


async def test_a_wrong_adapter_and_a_foreign_base_are_refused(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    with pytest.raises(PublishError, match=r"differ from the trainer's.*run:1 is served again"):
        await put(policies, 3)
    assert served(vllm) == ("run:1", ["run:1"])
    vllm.load(write_model(policies.parent / "other", tensors(0.7)))
    with pytest.raises(PublishError, match=r"does not hold the weights that .*v0002/adapter belongs to"):
        await put(policies, 2)


@pytest.mark.parametrize("same", [True, False])
async def test_what_a_killed_publisher_loaded_is_taken_if_it_is_this_adapter(
    policies: Path, vllm: Loopback, same: bool
) -> None:
    await put(policies, 1)
    name = name_of(vllm.model, policies, 2) if same else f"{vllm.model}@run:2-00000000"
    vllm.adapters[name] = tensors(0.3 if same else 0.9)
    vllm.version = "unproved run:2"
    seen = len(vllm.calls)
    await put(policies, 2)
    assert vllm.calls[seen:].count("/v1/load_lora_adapter") == (not same)
    assert served(vllm) == ("run:2", ["run:1", "run:2"])


async def test_a_restarted_server_has_no_policy_to_go_back_to(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    vllm.model, vllm.version = "policy-new", "default"
    vllm.adapters.clear()
    with pytest.raises(PolicyLost, match="there is no earlier policy to go back to"):
        await put(policies, 3)
    assert (await put(policies, 2)).model == name_of("policy-new", policies, 2)
