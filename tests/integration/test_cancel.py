"""A run is cancelled by command and in Prefect, and a lost one is found by its heartbeats. In the whole stack."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import psutil
import pytest
from real_stack import Stack, collected, kill_flow, updates_of, wait_until
from run_invariants import check_finished

from flows.services.automations import make_automations
from flows.services.prefect_api import PrefectServer
from flows.services.specs import BROWSER, PREFECT, WORKER
from storage.stages import Stage

pytestmark = [pytest.mark.stack, pytest.mark.chaos]

ENDED_S = 10.0
"""Seconds from the cancellation in which everything must have ended."""


def leases(stack: Stack) -> int:
    address = stack.status().service(BROWSER).address
    return len(httpx.get(f"{address}/sessions", trust_env=False, timeout=10).json()["sessions"])


def test_the_command_stops_episodes_and_browsers(stack: Stack, unused: Callable[[str], str]) -> None:
    name = unused("cancelled")
    root = stack.loop.runs_dir / name
    with stack.started("run", stack.config, "--name", name, "iterations=1") as command:
        wait_until("an episode of the rollout", lambda: collected(root, 1, Stage.ROLLOUT) > 0, during=command)
        cancelled = stack.rl_loop("cancel", name, "-c", stack.config)
        assert cancelled.status == 0 and "is cancelled after" in cancelled.out, cancelled.out
        assert float(cancelled.out.split("after ")[1].split(" s;")[0]) <= ENDED_S
        assert stack.folder(name).writer() is None and updates_of(root) == []
        wait_until("the end of the leases", lambda: leases(stack) == 0)
        assert command.wait().status == 1

    with PrefectServer(stack.status().service(PREFECT).address) as server:
        (flow_run,) = stack.folder(name).record().prefect_flow_runs
        assert server.read(flow_run).state == "CANCELLED"
    resumed = stack.rl_loop("resume", name, "-c", stack.config)
    assert resumed.status == 0, resumed.out
    check_finished(stack, name)


def test_prefect_stops_an_update(stack: Stack, unused: Callable[[str], str]) -> None:
    name = unused("stopped")
    root = stack.loop.runs_dir / name
    with stack.started("run", stack.config, "--name", name, "iterations=1") as command:
        wait_until("the update", lambda: updates_of(root), during=command)
        (flow_run,) = stack.folder(name).record().prefect_flow_runs
        with PrefectServer(stack.status().service(PREFECT).address) as server:
            began = time.monotonic()
            server.cancel(flow_run)
            wait_until("the end of the update", lambda: not updates_of(root))
            wait_until("the end of the flow's process", lambda: stack.folder(name).writer() is None)
            assert time.monotonic() - began <= ENDED_S
            wait_until("the end in Prefect", lambda: server.read(flow_run).state == "CANCELLED")
        command.wait()
    assert stack.rl_loop("resume", name, "-c", stack.config).status == 0
    check_finished(stack, name)


def test_a_run_that_is_lost_with_its_worker_goes_on_by_itself(
    stack: Stack, unused: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, heard = unused("found"), []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        Thread(target=hook.serve_forever, daemon=True).start()
        monkeypatch.setenv("RL_LOOP_HOOK", f"http://127.0.0.1:{hook.server_port}/")
        # `run` makes the automations anew, as its configuration says, so these settings are its overrides.
        hooks = ("services.notify_env=RL_LOOP_HOOK", "services.notify_on=[iteration-finished, run-ended]")
        with PrefectServer(stack.status().service(PREFECT).address) as server:
            try:
                with stack.started(
                    "run", stack.config, "--name", name, "iterations=1", "services.resume_lost=1", *hooks
                ) as command:
                    root = stack.loop.runs_dir / name
                    wait_until("a trajectory", lambda: collected(root, 1, Stage.ROLLOUT) > 0, during=command)
                    psutil.Process(stack.service(WORKER).pid).kill()
                    kill_flow(root)
                    command.kill()
                wait_until("the end of the run", lambda: stack.folder(name).next_stage() is None, every_s=1.0)
                first, *_, last = stack.folder(name).record().prefect_flow_runs
                assert first != last
                wait_until("the end in Prefect", lambda: server.read(last).state == "COMPLETED", every_s=1.0)
                assert server.read(first).state == "CRASHED"
                wait_until("the webhook", lambda: "iteration-finished" in str(heard) and "Completed" in str(heard))
            finally:
                make_automations(server, stack.loop.services)
        hook.shutdown()
    check_finished(stack, name)
