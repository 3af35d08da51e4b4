"""One trace over all real processes: the loop, the browser service, the update, and vLLM itself."""

from collections.abc import Generator

import pytest
from otlp_receiver import Receiver, receiving
from real_stack import Stack
from running_stack import running_stack

from storage.stages import Stage
from storage.store import TrajectoryStore

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(1_800)]
SERVICES = {"rl-loop", "browser-service", "rl-loop-update", "vllm"}


@pytest.fixture(scope="module")
def receiver() -> Generator[Receiver]:
    """A back end for the spans of all processes that are started."""
    with receiving() as receiver, pytest.MonkeyPatch.context() as patch:
        for name, value in receiver.environment.items():
            patch.setenv(name, value)
        yield receiver


@pytest.fixture(scope="module")
def traced(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """A stack that sends spans."""
    with running_stack(tmp_path_factory.mktemp("traced"), traces=True) as stack:
        yield stack


def test_a_call_of_the_model_is_one_trace_from_the_run_to_the_engine(traced: Stack, receiver: Receiver) -> None:
    done = traced.rl_loop("run", traced.config, "--name", "traced", "iterations=1")
    assert done.status == 0, done.out
    steps = {
        trajectory.id: sum(step.completion is not None for step in trajectory.steps)
        for trajectory in TrajectoryStore(traced.folder("traced").stage_dir(1, Stage.ROLLOUT))
    }
    receiver.until("llm_request", sum(steps.values()))

    assert {one.service for one in receiver.spans} == SERVICES
    served = [one for one in receiver.named("llm_request") if "rollout" in receiver.path(one)]
    assert len(served) >= sum(steps.values()) > 0
    for one in served:
        path = receiver.path(one)
        assert path[:5] == ["run", "iteration", "rollout", "episode", "step"] and path[5].startswith("chat "), path
        assert one.attributes["gen_ai.usage.completion_tokens"]
    for name, count in steps.items():
        assert len(receiver.named("step", run="traced", trajectory=name)) == count
    assert receiver.named("run", run="traced")[0].trace == served[0].trace
