"""A run that trains an adapter and has it loaded by a real vLLM, beside the weights of version 0."""

import pytest
from real_stack import Stack, served_version, write_config

from flows.services.model_servers import socket_path
from storage.stages import Stage
from storage.store import TrajectoryStore
from training.checkpointing.checkpoints import versions
from training.publishing.served_record import ServedRecord, read_record

pytestmark = [pytest.mark.stack, pytest.mark.chaos]


def test_each_version_plays_under_the_name_of_its_adapter(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("adapters")
    stack = Stack(home, write_config(home))
    adapter = ["serving.adapter_rank=8", "update.lora={rank: 4, alpha: 8}", "update.learning_rate=0.001"]
    try:
        done = stack.rl_loop("run", stack.config, "--name", "low", "iterations=2", *adapter)
        assert done.status == 0, done.out
        before = record_of(stack)
        assert before.version == served_version(stack) == f"low:{newest(stack)}" and newest(stack) > 0
        folder = stack.folder("low")
        update = folder.report(1, Stage.POLICY_UPDATE)
        played = list(TrajectoryStore(folder.stage_dir(2, Stage.ROLLOUT)))
        assert update is not None and not [one for one in played if one.failure]
        assert {one.policy_version for one in played} == {update.counts["version"]}

        stack.service("vllm").kill()
        resumed = stack.rl_loop("resume", "low", "-c", stack.config, "iterations=3")
        assert resumed.status == 0, resumed.out
        again = record_of(stack)
        assert again.version == served_version(stack) == f"low:{newest(stack)}" and again.model != before.model
    finally:
        stack.rl_loop("down", "-c", stack.config)


def newest(stack: Stack) -> int:
    return versions(stack.folder("low").policies)[-1]


def record_of(stack: Stack) -> ServedRecord:
    """The record of the served policy: an adapter under a name of its own."""
    record = read_record(socket_path(stack.loop.services.state_dir))
    assert record is not None, "nothing was served"
    assert record.adapter == f"{record.model}@{record.version}-{record.manifest_sha256[:8]}", record
    return record
