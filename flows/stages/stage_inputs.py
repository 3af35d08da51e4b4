"""Builds the inputs of the scheduler from a run's whole configuration and the services that run now."""

from functools import partial
from pathlib import Path

from agent.judging.verifier import Check
from agent.models.openai_chat import Served
from agent.types import Trajectory
from agent.verdict import Judge
from flows.services.load import ask_model
from flows.services.model_servers import model_servers
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import agent_of, served_tokenizer
from judging.blocking import sign_of_block
from judging.early import Noting
from judging.opening import quick_judge
from rollouts.inputs import PolicyServer, StageInputs
from storage.recordings.requests import RequestLog
from storage.stages import Stage
from storage.store import TrajectoryStore


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
        judge=partial(noting_judge, folder, stage),
        detect=sign_of_block if config.environment.ends_blocked_episodes else None,
    )


def noting_judge(folder: RunFolder, stage: Stage, check: Check) -> Judge:
    """The judge that answers while the rollout goes on; its decisions are noted, and the judge stage takes them over."""
    judge = quick_judge(folder.config.judge, check, requests=partial(read_requests_of, folder, stage))
    return Noting(judge, folder.config.judge, partial(early_folder, folder, stage))


def early_folder(folder: RunFolder, stage: Stage, trajectory: Trajectory) -> Path:
    """The stage folder with the note on an episode: that of the iteration that began it, wherever it ends."""
    return folder.stage_dir(trajectory.iteration, stage)


def read_requests_of(folder: RunFolder, stage: Stage, trajectory: Trajectory) -> RequestLog | None:
    """The log of an episode's requests while it is played; a carried-over episode may be in a later iteration's folder.

    Raises `CorruptRequests`.
    """
    for iteration in range(trajectory.iteration, folder.config.iterations + 1):
        if found := TrajectoryStore(folder.stage_dir(iteration, stage)).requests(trajectory):
            return found
    return None


def policy_server(config: LoopConfig) -> PolicyServer:
    """The model servers of the configuration. Raises `ServicesError` as `socket_path`."""
    state_dir = config.services.state_dir

    def waiting() -> int | None:
        model = ask_model(state_dir)
        return None if model is None else model.waiting

    sockets = tuple(one.socket for one in model_servers(config.services))
    return PolicyServer(sockets, served_tokenizer(config), waiting)
