"""A publish ends with the new policy proved, or with the earlier one proved again, or says that neither is."""

import asyncio
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from loopback_vllm import Loopback, running_loopback
from small_policies import scores, tensors, write_model, write_version

from training.errors import CheckpointError
from training.publishing.prepared_policy import Prepared, prepare
from training.publishing.publish import PolicyLost, PublishReport, publish
from training.publishing.served_record import read_record, record_file
from training.publishing.serving import PolicyServer, PublishError, ServerUnavailable
from training.serving_config import ServingConfig

CONFIG = ServingConfig(publish_deadline_s=5, rollback_deadline_s=5)
HASTY = ServingConfig(publish_deadline_s=0.5, rollback_deadline_s=0.5)
GIVES_UP_SOON = ServingConfig(publish_deadline_s=0.5, rollback_deadline_s=60)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Versions 0, 1 and 2, all sound."""
    folder = tmp_path / "policies"
    write_version(folder, 0, tensors(0.1), canary=False)
    write_version(folder, 1, tensors(0.2))
    write_version(folder, 2, tensors(0.3))
    return folder


@pytest.fixture
def vllm(tmp_path: Path) -> Generator[Loopback]:
    with running_loopback(tmp_path / "vllm.sock", write_model(tmp_path / "model", tensors(0.1))) as state:
        yield state


def ready(policies: Path, version: int) -> Prepared:
    return prepare(policies / f"v{version:04d}", f"run:{version}", pictures=policies)


async def put(policies: Path, version: int, config: ServingConfig = CONFIG) -> PublishReport:
    async with PolicyServer(policies.parent / "vllm.sock", config) as server:
        return await publish(server, ready(policies, version), config)


def serves(vllm: Loopback, version: int) -> bool:
    """True if a version is served: its weights, its name, and requests are answered."""
    return (vllm.holds.name, vllm.version, vllm.paused) == (f"v{version:04d}", f"run:{version}", False)


async def test_the_report_says_how_new_differs_from_old(policies: Path, vllm: Loopback) -> None:
    first = await put(policies, 0)
    assert (first.canary_gap, first.discriminates, first.tensors_matched) == (None, False, 2)
    report = await put(policies, 1)
    assert serves(vllm, 1)
    assert report.discriminates and report.canary_position == pytest.approx(1.0)
    assert report.canary_separation == pytest.approx(0.1, abs=0.1) and report.canary_gap == pytest.approx(0.0)
    assert (report.tensors_changed, report.tensors_matched) == (2, 2)


@pytest.mark.parametrize("route", ["/pause", "/collective_rpc", "/reset_mm_cache", "/weight_checker", "/resume"])
@pytest.mark.parametrize("fault", ["fail", "hang"])
async def test_whatever_fails_once_the_earlier_policy_is_served_again(
    policies: Path, vllm: Loopback, route: str, fault: str
) -> None:
    await put(policies, 1)
    vllm.faults = {route: f"{fault} once"}
    with pytest.raises(PublishError, match="run:1 is served again") as refused:
        await put(policies, 2, GIVES_UP_SOON)
    assert serves(vllm, 1) and not isinstance(refused.value, PolicyLost)
    await put(policies, 2)
    assert serves(vllm, 2)


async def test_a_file_torn_after_the_check_is_rolled_back(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    async with PolicyServer(policies.parent / "vllm.sock", CONFIG) as server:
        wanted = ready(policies, 2)
        with (policies / "v0002/model.safetensors").open("r+b") as file:
            file.truncate(60)
        with pytest.raises(PublishError, match="run:1 is served again"):
            await publish(server, wanted, CONFIG)
    assert serves(vllm, 1)
    shutil.rmtree(policies / "v0002")
    write_version(policies, 2, tensors(0.3))
    await put(policies, 2)
    assert serves(vllm, 2)


async def test_a_canary_that_fails_is_rolled_back(policies: Path, vllm: Loopback) -> None:
    await put(policies, 2)
    write_version(policies, 3, tensors(0.4), logprobs=tuple(one - 1 for one in scores(policies / "v0002")))
    with pytest.raises(PublishError, match=r"differ from the trainer's.*run:2 is served again"):
        await put(policies, 3)
    assert serves(vllm, 2)


async def test_old_weights_under_the_new_name_are_refused(policies: Path, vllm: Loopback) -> None:
    """The parent's file again, with the canary of an update too small for any tolerance on the gap."""
    await put(policies, 2)
    old = scores(policies / "v0002")
    write_version(policies, 3, tensors(0.3), logprobs=tuple(one - 0.0055 for one in old))
    with pytest.raises(PublishError, match=r"lie at 0\.00 between the earlier weights' \(0\)"):
        await put(policies, 3)
    assert serves(vllm, 2)


async def test_a_policy_sampled_at_another_temperature_is_served(policies: Path, vllm: Loopback) -> None:
    await put(policies, 2)
    cold = tuple(one * 0.7 for one in scores(policies / "v0002"))
    write_version(policies, 3, tensors(0.4), logprobs=cold, temperature=0.7)
    report = await put(policies, 3)
    assert serves(vllm, 3) and report.canary_gap is None
    assert report.canary_skipped == "written at temperature 0.7, while the server scores at 1"


async def test_what_a_killed_publisher_leaves_is_cleared_up(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    vllm.load(policies / "v0002")
    vllm.version, vllm.paused = "unproved run:2", True
    await put(policies, 2)
    assert serves(vllm, 2)
    assert read_record(policies.parent / "vllm.sock") is not None


async def test_a_cancelled_publish_leaves_unproved_and_the_next_one_works(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    vllm.faults = {"/collective_rpc": "hang"}
    publishing = asyncio.create_task(put(policies, 2))
    assert await asyncio.to_thread(vllm.reached.wait, 30)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    assert vllm.version.startswith("unproved ")
    vllm.faults = {}
    vllm.go.set()
    await put(policies, 2)
    assert serves(vllm, 2)


async def test_when_neither_can_be_served_it_says_so_in_time(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    vllm.faults = {"/collective_rpc": "hang"}
    began = asyncio.get_running_loop().time()
    with pytest.raises(PolicyLost, match=r"not proved within 0\.5 s.*run:1 could not be served again"):
        await put(policies, 2, HASTY)
    assert asyncio.get_running_loop().time() - began < 10
    assert vllm.version.startswith("unproved ")


async def test_a_server_that_hangs_is_lost_before_anything_begins(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    vllm.faults = {"/weight_info": "hang"}
    with pytest.raises(PolicyLost, match="nothing was begun") as lost:
        await put(policies, 2, HASTY)
    assert lost.value.inherited


async def test_an_earlier_policy_that_is_gone_is_named(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    (policies / "v0001").rename(policies / "elsewhere")
    write_version(policies, 3, tensors(0.4), logprobs=tuple(one - 1 for one in scores(policies / "v0002")))
    with pytest.raises(PolicyLost, match=r"run:1 could not be served again: .*v0001"):
        await put(policies, 3)


async def test_answers_that_are_no_answers_are_errors_of_the_publish(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    record_file(policies.parent / "vllm.sock").write_text("{")  # nothing is known of what was served: not fatal
    await put(policies, 2)
    async with PolicyServer(policies.parent / "none.sock", CONFIG) as server:
        with pytest.raises(ServerUnavailable, match="does not answer /v1/models"):
            await publish(server, ready(policies, 2), CONFIG)
    async with PolicyServer(policies.parent / "vllm.sock", CONFIG) as server:
        vllm.faults = {"/weight_checker": "empty"}
        with pytest.raises(PublishError, match="without checksums"):
            await server.digests()
        vllm.faults = {"/inference/v1/generate": "empty"}
        with pytest.raises(PublishError, match="no scores for the 2 tokens"):
            await server.score(vllm.model, (1,), (5, 6), (), image_token=None)


async def test_a_canary_that_the_server_cannot_score_is_refused_untouched(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    vllm.faults = {"/inference/v1/generate": "fail"}
    seen = len(vllm.calls)
    with pytest.raises(PublishError, match="answered 500"):
        await put(policies, 2)
    assert serves(vllm, 1) and "/pause" not in vllm.calls[seen:]


async def test_another_architecture_is_refused_untouched_and_taken_by_services_that_were_started_with_it(
    policies: Path, vllm: Loopback
) -> None:
    await put(policies, 1)
    other = {f"new.{name}": tensor for name, tensor in tensors(0.4).items()}
    write_version(policies, 3, other, canary=False, model_type="other")
    seen = len(vllm.calls)
    with pytest.raises(CheckpointError, match=r'is of another architecture: its config\.json has model_type="other"'):
        await put(policies, 3)
    assert serves(vllm, 1) and not {"/update_weight_version", "/pause", "/collective_rpc"} & set(vllm.calls[seen:])
    vllm.root = write_model(policies.parent / "other", other, model_type="other")
    vllm.start()  # the record beside the socket is still that of the process before
    await put(policies, 3)
    assert serves(vllm, 3)


async def test_the_digests_of_before_come_from_the_record(policies: Path, vllm: Loopback) -> None:
    await put(policies, 1)
    seen = len(vllm.calls)
    report = await put(policies, 2)
    assert report.tensors_changed == 2
    assert vllm.calls[seen:].count("/weight_checker") == 1, "digests are taken once, after the reload"


async def test_sharded_weights_may_be_published_again_under_another_name(policies: Path, vllm: Loopback) -> None:
    """Version 0 is what a fresh server holds: nothing has to change for it to be proved."""
    changed = ServingConfig(weight_check="changed", publish_deadline_s=5)
    assert (await put(policies, 0, changed)).tensors_changed == 2
