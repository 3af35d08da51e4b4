"""Publishing into a real vLLM: with any damage to a checkpoint, a proved policy is served in the end."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from real_policies import TOKENS, Policies
from real_stack import Stack, served_version, wait_until

from flows.policy.publishing import ensure_served
from flows.policy.waiting import StageError
from flows.services.model_servers import VLLM, socket_path
from flows.settings.run_folder import RunFolder
from training.lean_imports import prepare as prepare_imports
from training.publishing.prepared_policy import prepare
from training.publishing.publish import publish
from training.publishing.serving import PolicyServer, PublishError

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]

Change = Callable[[dict[str, object]], None]


def damage_of(name: str) -> Change:
    """A change of the tensors that a check before the reload must find."""

    def nan(tensors: dict) -> None:
        tensors[linear(tensors)][0, 0] = float("nan")

    def shape(tensors: dict) -> None:
        tensors[linear(tensors)] = tensors[linear(tensors)][:, :-8].contiguous()

    def missing(tensors: dict) -> None:
        del tensors[linear(tensors)]

    return {"nan": nan, "shape": shape, "missing": missing}[name]


def linear(tensors: dict) -> str:
    """A tensor that vLLM packs on a CPU, so that no digest tells of it."""
    return next(name for name in sorted(tensors) if name.endswith("layers.1.mlp.down_proj.weight"))


@pytest.fixture(scope="module")
def policies(stack: Stack) -> Policies:
    """A run with the versions 0 and 1."""
    prepare_imports()
    policies = Policies(RunFolder.create("published", stack.loop))
    policies.add(1)
    return policies


async def test_a_sound_policy_differs_from_its_parent_also_after_sampling_at_another_temperature(
    stack: Stack, policies: Policies
) -> None:
    folder = policies.folder
    await ensure_served(folder, 0)
    policies.add(2, step=1e-6)
    policies.add(3, temperature=0.7)
    async with PolicyServer(socket_path(stack.loop.services.state_dir), folder.config.serving) as server:
        report = await publish(
            server, prepare(policies.path(2), "published:2", pictures=folder.root), folder.config.serving
        )
        assert report.discriminates and report.canary_position == pytest.approx(1.0, abs=0.1)
        assert report.canary_gap is not None and report.canary_gap < 1e-4, "float32 on both sides"
        report = await publish(
            server, prepare(policies.path(3), "published:3", pictures=folder.root), folder.config.serving
        )
        assert report.canary_gap is None and "temperature 0.7" in report.canary_skipped
    assert served_version(stack) == "published:3"


@pytest.mark.parametrize("damage", ["nan", "shape", "missing"])
async def test_damage_that_files_show_leaves_the_server_untouched(
    stack: Stack, policies: Policies, damage: str
) -> None:
    await ensure_served(policies.folder, 1)
    version = {"nan": 10, "shape": 11, "missing": 12}[damage]
    policies.add(version, change=damage_of(damage), logprobs=[-1.0] * len(TOKENS))
    with pytest.raises(
        StageError, match=f"policy published:{version} cannot be served, and the server was left as it was"
    ):
        await ensure_served(policies.folder, version)
    assert served_version(stack) == "published:1"


async def test_old_weights_under_a_new_name_and_a_torn_file_are_rolled_back(stack: Stack, policies: Policies) -> None:
    folder = policies.folder
    await ensure_served(folder, 1)
    new = policies.scores(policies.add(4))
    policies.add(5, step=0.0, logprobs=new)  # the parent's weights, with the canary of those that were trained
    with pytest.raises(StageError, match=r"does not answer as the new weights do: .*; published:1 is served again"):
        await ensure_served(folder, 5)
    assert served_version(stack) == "published:1"

    wanted = prepare(policies.path(4), "published:4", pictures=folder.root)
    whole = (policies.path(4) / "model.safetensors").read_bytes()
    (policies.path(4) / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    async with PolicyServer(socket_path(stack.loop.services.state_dir), folder.config.serving) as server:
        with pytest.raises(PublishError, match="published:1 is served again"):
            await publish(server, wanted, folder.config.serving)
    assert served_version(stack) == "published:1"
    (policies.path(4) / "model.safetensors").write_bytes(whole)
    await ensure_served(folder, 4)
    assert served_version(stack) == "published:4"


async def test_a_publisher_that_dies_while_the_server_is_paused(stack: Stack, policies: Policies) -> None:
    command = [sys.executable, "-c", PUBLISH, str(policies.folder.root)]
    environment = os.environ | {"RL_LOOP_FAILPOINT": "publish.before_reload:kill"}
    await ensure_served(policies.folder, 1)
    done = await asyncio.to_thread(subprocess.run, command, env=environment, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    assert served_version(stack) == "unproved published:0"
    await ensure_served(policies.folder, 1)
    assert served_version(stack) == "published:1"


PUBLISH = """
import asyncio, sys
from pathlib import Path
from flows.policy.publishing import ensure_served
from flows.settings.run_folder import RunFolder
asyncio.run(ensure_served(RunFolder.open(Path(sys.argv[1])), 0))
"""


@pytest.mark.chaos
async def test_a_shape_that_changed_after_the_check_costs_a_new_start(
    stack: Stack, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = policies.folder
    await ensure_served(folder, 1)
    policies.add(20)
    other = policies.add(21, change=damage_of("shape"), logprobs=[-1.0] * len(TOKENS))
    before = stack.status().service(VLLM).restarts
    monkeypatch.setenv("RL_LOOP_FAILPOINT", "publish.before_reload:sleep=3")
    swap = threading.Thread(target=_swap, args=(stack, other, policies.path(20)))
    swap.start()
    with pytest.raises(StageError) as stopped:
        await ensure_served(folder, 20)
    swap.join()
    assert "vLLM was started again and serves published:1" in str(stopped.value)
    assert stack.status().service(VLLM).restarts == before + 1
    assert served_version(stack) == "published:1"
    monkeypatch.delenv("RL_LOOP_FAILPOINT")
    await ensure_served(folder, 0)
    assert served_version(stack) == "published:0"


def _swap(stack: Stack, other: Path, target: Path) -> None:
    """Put another file in a checkpoint's place between the check and the reload."""
    wait_until("the pause", lambda: served_version(stack) == "unproved published:20")
    shutil.copyfile(other / "model.safetensors", target / "swapped")
    (target / "swapped").replace(target / "model.safetensors")
