"""The monitor's Prometheus metrics over HTTP."""

from collections.abc import Generator

import httpx
import pytest
from watched_run import WatchedStage

from flows.monitor import metrics
from flows.monitor.metrics import MetricsServer
from flows.monitor.monitor import Monitor
from flows.services.load import Browsers, Model, Services
from flows.settings.run_folder import RunFolder

BUSY = Services(Browsers(leased=30, capacity=64, queue=0), Model(running=28, waiting=12))


@pytest.fixture
def served(begun: RunFolder, played: WatchedStage) -> Generator[MetricsServer]:
    """Metrics of the running rollout, on a free port."""
    with MetricsServer(0) as server:
        server.show(Monitor(begun).look(), BUSY)
        yield server


def test_prometheus_gets_the_same_numbers(served: MetricsServer, begun: RunFolder, played: WatchedStage) -> None:
    lines = httpx.get(served.url, trust_env=False).text.splitlines()

    about = 'run="a",stage="rollout"'
    for line in (
        f"rl_loop_iteration{{{about}}} 1.0",
        f'rl_loop_episodes{{{about},state="model"}} 2.0',
        f'rl_loop_episodes{{{about},state="broken by infra"}} 1.0',
        f'rl_loop_episodes{{{about},state="success"}} 0.0',
        f"rl_loop_episodes_judged{{{about}}} 2.0",
        f"rl_loop_episodes_successful{{{about}}} 1.0",
        f'rl_loop_broken_attempts{{code="BROWSER_CRASHED",{about[:7]},side="infra",{about[8:]}}} 2.0',
        f"rl_loop_slots_busy{{{about}}} 3.0",
        f"rl_loop_browsers_leased{{{about}}} 30.0",
        f"rl_loop_model_requests_waiting{{{about}}} 12.0",
        f"rl_loop_browser_requests_waiting{{{about}}} 0.0",
    ):
        assert line in lines
    names = {line.split("{")[0] for line in lines if not line.startswith("#")}
    documented = (metrics.__doc__ or "").replace("{", " ").replace(",", " ").split()
    assert all(name in documented for name in names), names - set(documented)

    played.ends(*played.names)
    played.finishes()
    served.show(Monitor(begun).look(), Services())
    text = httpx.get(served.url, trust_env=False).text
    assert f'rl_loop_episodes{{{about},state="done"}} 12.0' in text
    assert "silent" not in text and "browsers" not in text and "eta" not in text
