"""Commands, running services and run folders, for tests that need no model."""

import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import pytest
from loop_configs import WriteConfig, config, model_directory, write_config  # noqa: F401 (fixtures)
from real_services import browsers  # noqa: F401 (a fixture)
from shared import PREFECT, shared_by
from watched_run import WatchedStage

from flows.cli import main
from flows.services.ports import choose_ports
from flows.services.service_files import ServiceStatus, SupervisorStatus, status_file
from flows.services.specs import service_specs
from flows.services.stack import write_stack
from flows.settings.checkout import PROJECT
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from storage.process_id import process_id
from storage.stages import Stage, StageReport


@pytest.fixture(scope="module")
def prefect_server() -> None:
    """A Prefect server with an empty database, one for all files that want it: it takes ten seconds to start."""
    from mended_prefect import mended_server

    shared_by(PREFECT, "server", mended_server)


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


RlLoop = Callable[..., Done]


@pytest.fixture
def rl_loop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RlLoop:
    """The command in this process: importing everything again for each call would take seconds."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["rl-loop", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code
        return Done(status if isinstance(status, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture
def refused(rl_loop: RlLoop) -> Callable[..., str]:
    """The one sentence of a command that must not do anything."""

    def run(*arguments: object) -> str:
        done = rl_loop(*arguments)
        assert done.status == 1, done
        assert done.err.startswith("rl-loop: ") and done.err.count("\n") == 1, done.err
        return done.err.removeprefix("rl-loop: ").strip()

    return run


RunningStack = Callable[..., SupervisorStatus]


@pytest.fixture
def running_stack() -> Generator[RunningStack]:
    """Writes the state files of services that run; their supervisor is a process that sleeps, and nothing listens."""
    sleeping = subprocess.Popen(["sleep", "600"])

    def write(config: LoopConfig, *, checkout: Path = PROJECT) -> SupervisorStatus:  # noqa: F811
        state = config.services.state_dir
        state.mkdir(parents=True, exist_ok=True)
        ports = choose_ports(config.services)
        write_stack(config, ports, checkout)
        supervisor = process_id(sleeping.pid)
        assert supervisor is not None
        specs = service_specs(config, ports, checkout).services
        status = SupervisorStatus(
            supervisor=supervisor,
            services=[ServiceStatus(name=one.name, address=one.address, log=str(state / "log")) for one in specs],
        )
        status_file(state).write_text(status.model_dump_json())
        return status

    yield write
    sleeping.kill()
    sleeping.wait()


@pytest.fixture
def begun(config: LoopConfig) -> RunFolder:  # noqa: F811
    """A run whose first policy is evaluated: its first rollout comes next."""
    begun = RunFolder.create("a", config)
    begun.finish(StageReport(stage=Stage.EVALUATE, iteration=0, seconds=1.0))
    return begun


@pytest.fixture
def played(begun: RunFolder) -> WatchedStage:
    """Three groups of four: three episodes over (one broken), three played by two shards, six waiting."""
    stage = WatchedStage(begun, groups=3, members=4)
    names = stage.names
    stage.ends(names[0], steps=7)
    stage.ends(names[1], steps=2)
    stage.ends(names[2], steps=1, broken="infra")
    stage.plays(names[3], names[4], phase="model", step=3, shard=0, queued=4)
    stage.plays(names[5], phase="allocate", shard=1, queued=2)
    stage.counts(judged=2, successes=1)
    stage.breaks(names[2], "infra", "BROWSER_CRASHED", times=2)
    stage.breaks(names[4], "site", "NAVIGATION_TIMEOUT")
    return stage
