"""Services that run elsewhere: watched, named when they are away, never started or stopped from here."""

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from loop_configs import WriteConfig
from pytest import MonkeyPatch

from flows.services.load import ask_browsers
from flows.services.ports import choose_ports
from flows.services.prefect_api import PrefectServer
from flows.services.processes import marked, stop
from flows.services.service_files import ServiceSpec, SupervisorSpec, read_status, spec_file
from flows.services.services import address_of, shut_down, wait_ready
from flows.services.specs import BROWSER, DASHBOARD, MLFLOW, PARTS, PREFECT, WORKER, names_here, service_specs
from flows.settings.loop_config import ConfigError, load_config
from storage.errors import ServicesError

DEADLINE_S = 60.0


class Site:
    """A loopback HTTP server that notes the headers of each request, and can be made to fail."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.status, self.body = 200, b"{}"
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Generator[Site]:
    one = Site()
    yield one
    one.close()


@pytest.fixture
def supervise(tmp_path: Path) -> Generator[Callable[[ServiceSpec], Path]]:
    """Runs a supervisor for one service; returns its state directory."""

    def run(service: ServiceSpec) -> Path:
        spec = SupervisorSpec(working_dir=str(tmp_path), services=[service])
        spec_file(tmp_path).write_text(spec.model_dump_json())
        command = [sys.executable, "-m", "flows.services.supervisor", str(tmp_path)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return tmp_path

    started: list[subprocess.Popen[bytes]] = []
    yield run
    for one in started:
        one.terminate()
        one.wait(30)
    stop(marked(tmp_path), term_s=0)


def state_of(state_dir: Path) -> str:
    status = read_status(state_dir)
    return status.service(MLFLOW).state if status else ""


def wait_until(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_service_elsewhere_is_watched_and_neither_started_nor_stopped(
    site: Site, supervise: Callable[[ServiceSpec], Path]
) -> None:
    state = supervise(ServiceSpec(name=MLFLOW, address=site.url, health_url=f"{site.url}/health", unhealthy_s=5))

    ready = wait_ready(state, (), deadline_s=DEADLINE_S)
    assert ready.service(MLFLOW).process is None and address_of(state, MLFLOW) == site.url
    site.status = 503
    wait_until(lambda: state_of(state) == "away")
    site.status = 200
    wait_until(lambda: state_of(state) == "ready")

    assert shut_down(state) == []


def test_a_service_elsewhere_that_does_not_answer_is_named_at_once(supervise: Callable[[ServiceSpec], Path]) -> None:
    away = ServiceSpec(name=BROWSER, address="http://127.0.0.1:9", health_url="http://127.0.0.1:9/readyz", ready_s=0.5)
    state = supervise(away)

    with pytest.raises(ServicesError, match=r"browser at http://127.0.0.1:9 was not ready within 0 s; is it up"):
        wait_ready(state, (), deadline_s=DEADLINE_S)


def test_one_answer_of_several_masters_suffices(site: Site, supervise: Callable[[ServiceSpec], Path]) -> None:
    urls = f"http://127.0.0.1:9,{site.url}"
    state = supervise(ServiceSpec(name=BROWSER, address=urls, health_url=f"http://127.0.0.1:9/x,{site.url}/x"))

    assert wait_ready(state, (), deadline_s=DEADLINE_S).service(BROWSER).state == "ready"


def test_the_configuration_says_where_and_the_worker_stays_here(write_config: WriteConfig, tmp_path: Path) -> None:
    services = {
        "prefect": "https://prefect.example:4200/",
        "mlflow": "https://mlflow.example",
        "browsers": "http://10.0.0.7:7000, http://10.0.0.8:7000",
        "dashboard_port": 0,
        "prefect_port": 1,  # of no service here, so nobody asks whether it is free
    }
    config = load_config(write_config(services=services))

    specs = {one.name: one for one in service_specs(config, choose_ports(config.services), tmp_path).services}

    assert [name for name, spec in specs.items() if not spec.command] == [PREFECT, MLFLOW, BROWSER]
    assert specs[WORKER].env["PREFECT_API_URL"] == "https://prefect.example:4200/api"
    assert specs[BROWSER].address == "http://10.0.0.7:7000,http://10.0.0.8:7000"
    assert specs[BROWSER].health_url == "http://10.0.0.7:7000/readyz,http://10.0.0.8:7000/readyz"
    shown = specs[DASHBOARD].command
    assert shown[shown.index("--browsers") + 1] == "http://10.0.0.7:7000"
    assert shown[shown.index("--runs") + 1] == str(config.runs_dir)


def test_a_machine_without_the_dashboard_has_all_that_a_loop_needs(write_config: WriteConfig) -> None:
    wanted = load_config(write_config(), ["services.dashboard=false"]).services

    assert DASHBOARD not in choose_ports(wanted)
    assert names_here(wanted) == PARTS[None]
    assert DASHBOARD in names_here(load_config(write_config()).services)
    assert DASHBOARD not in names_here(load_config(write_config()).services, "browsers")


@pytest.mark.parametrize("place", ["ftp://a", "10.0.0.7:7000", "", "https://", "http://me:secret@host", "local,local"])
def test_a_place_that_is_no_address_is_a_sentence(place: str, write_config: WriteConfig) -> None:
    with pytest.raises(ConfigError, match=r"services.mlflow: expected local, or an address such as https://"):
        load_config(write_config(services={"mlflow": place}))


def test_keys_come_from_the_environment(site: Site, monkeypatch: MonkeyPatch, supervise) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
    monkeypatch.setenv("BROWSER_SERVICE_API_KEY", "key")
    site.body = b"3"
    with PrefectServer(site.url) as server:
        assert server.count_runs("rl-loop") == 3
    assert site.headers[-1]["authorization"] == "Basic YWRtaW46c2VjcmV0"

    state = supervise(ServiceSpec(name=BROWSER, address=site.url, health_url=site.url))
    wait_ready(state, (), deadline_s=DEADLINE_S)
    ask_browsers(state)
    assert site.headers[-1]["x-api-key"] == "key" and os.environ["BROWSER_SERVICE_API_KEY"] == "key"
