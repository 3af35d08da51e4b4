"""Builds the inputs of the scheduler from a run's whole configuration and the services that run now."""

from functools import partial

from agent.models.openai_chat import Served
from flows.services.load import ask_model
from flows.services.specs import socket_path
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import agent_of, served_tokenizer
from judging.opening import quick_judge
from rollouts.inputs import PolicyServer, StageInputs
from storage.stages import Stage


def stage_inputs(folder: RunFolder, stage: Stage, served: Served, browsers: str) -> StageInputs:
    """The inputs of a rollout or an evaluation. `browsers`: URL of the browser service."""
    config = folder.config
    return StageInputs(
        run=folder.inputs,
        stage=stage,
        agent=agent_of(config, stage),
        served=served,
        browsers=browsers,
        policy_server=policy_server(config),
        judge=partial(quick_judge, config.judge),
    )


def policy_server(config: LoopConfig) -> PolicyServer:
    """The vLLM server of the configured state directory. Raises `ServicesError` as `socket_path`."""
    state_dir = config.services.state_dir

    def waiting() -> int | None:
        model = ask_model(state_dir)
        return None if model is None else model.waiting

    return PolicyServer(socket_path(state_dir), served_tokenizer(config), waiting)
