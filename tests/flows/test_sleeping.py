"""`serving.sleep`: the server sleeps during an update and is awake after it, whatever happens.

The supervisor is the real one; the server is `tests/training/loopback_vllm.py`, whose weights can't be touched while it sleeps:
vLLM itself has no sleep mode on a CPU.
"""

import pytest
from loop_configs import WriteConfig
from test_publishing import ask, restarts, supervised, write

from flows.policy.publishing import ensure_served
from flows.policy.sleeping import servers_asleep
from flows.policy.waiting import StageError
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.starting.preflight import PreflightError, update
from rollouts.shard_workers import ShardWorkers
from training.checkpointing.checkpoints import import_policy, write_checkpoint
from training.publishing.vllm_server import command

__all__ = ["supervised"]  # a fixture
OPTIONS = ["serving.sleep=true", "serving.publish_deadline_s=5", "serving.start_deadline_s=60"]


@pytest.fixture
def folder(write_config: WriteConfig, model_directory: object) -> RunFolder:
    """A run with the versions 0 and 1."""
    config = load_config(write_config(), OPTIONS)
    write(config.policy.model, 0.1)
    folder = RunFolder.create("small", config)
    import_policy(folder.config.policy.model, folder.policies)
    with write_checkpoint(folder.policies, 1, parent=0, step=1) as version:
        write(version, 0.2)
    return folder


def is_asleep(folder: RunFolder) -> bool:
    return ask(folder, "/is_sleeping")["is_sleeping"]


async def test_the_server_sleeps_during_an_update_and_then_serves_the_new_policy(folder: RunFolder) -> None:
    """One story, because a supervisor costs a second: an update, one that fails, a loop that is killed, a server that can't sleep."""
    workers = ShardWorkers(folder.inputs)
    await ensure_served(folder, 0, workers)
    async with servers_asleep(folder, workers):
        assert is_asleep(folder)
        assert "error" in ask(folder, "/weight_checker", action="checksum")
    assert not is_asleep(folder)
    assert (await ensure_served(folder, 1, workers)).version == 1

    with pytest.raises(StageError, match="the update failed"):
        async with servers_asleep(folder, workers):
            raise StageError("the update failed")
    assert not is_asleep(folder)

    ask(folder, "/sleep", left="by a loop that was killed")
    assert is_asleep(folder)
    assert (await ensure_served(folder, 1, workers)).version == 1
    assert not is_asleep(folder)

    for interrupted in ("/sleep", "/pause"):  # a publish was, and then an update, or it alone
        ask(folder, "/update_weight_version", new_version="unproved small:1")
        ask(folder, interrupted, left="by a loop that was killed")
        async with servers_asleep(folder, workers):
            assert is_asleep(folder)
        assert not is_asleep(folder)
        ask(folder, interrupted, left="by a loop that was killed")
        assert (await ensure_served(folder, 1, workers)).version == 1
        assert not is_asleep(folder) and restarts(folder) == 0

    ask(folder, "/fault", **{"/sleep": "fail"})
    with pytest.raises(StageError, match=r"vLLM does not sleep for the update: .* can't sleep .* serving.sleep: false"):
        async with servers_asleep(folder, workers):
            raise AssertionError("the update must not begin")
    assert ask(folder, "/weight_info") == {"weight_version": "small:1"}


def test_what_sleep_needs_is_said_before_anything_starts(write_config: WriteConfig, tmp_path: object) -> None:
    config = load_config(write_config(), OPTIONS)
    assert "--enable-sleep-mode" in command(
        config.serving, model=config.policy.model, uds=config.policy.model, name="x"
    )
    with pytest.raises(PreflightError, match="needs vLLM on a GPU"):
        update(config)
    with pytest.raises(PreflightError, match="has the server sleep"):
        update(load_config(write_config(), [*OPTIONS, "rollout.overlap=one_step"]))
