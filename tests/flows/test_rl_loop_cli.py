"""The command line: bad input is one sentence on standard error and a status that is not zero, before anything starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from storage.stages import Stage, StageReport


def test_help_answers_without_importing_anything_heavy() -> None:
    script = (
        "import sys, flows.cli\n"
        "heavy = {'prefect', 'mlflow', 'torch', 'pydantic', 'playwright', 'httpx'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_help_names_every_command(rl_loop) -> None:
    shown = rl_loop("--help").out

    for command in ("up", "down", "status", "run", "resume", "evaluate", "doctor", "monitor"):
        assert f" {command} " in shown


def test_wrong_configurations_are_refused(refused, write_config, tmp_path: Path) -> None:
    path = write_config()

    assert refused("run", path, "rollout.group_sise=8") == "rollout.group_sise: unknown key; did you mean group_size?"
    assert refused("up", "-c", tmp_path / "none.yaml") == f"{tmp_path / 'none.yaml'}: no such configuration file"
    assert refused("run", path, "policy.model=/no/such") == (
        "policy.model: there is no model directory /no/such; make or download the model first"
    )
    assert "did you mean click-button," in refused("run", path, "environment.domains=[click-buton]")
    assert "GB are needed (services.min_free_gb)" in refused("up", "-c", path, "services.min_free_gb=99999999")
    assert "Expected at most 2000 tasks" in refused("run", path, "rollout.groups_per_iteration=100000")
    assert not (tmp_path / ".rl-loop").exists() and not (tmp_path / "runs").exists()


def test_no_chromium_is_refused(refused, write_config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_SERVICE_CHROMIUM", "/no/such/chromium")

    assert refused("run", write_config()) == "BROWSER_SERVICE_CHROMIUM is /no/such/chromium, which does not exist"


def test_a_busy_port_is_refused_by_pid_and_nothing_is_started(refused, write_config, tmp_path: Path) -> None:
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        port = other.stdout.readline().strip()

        sentence = refused("up", "-c", write_config(), f"services.mlflow_port={port}")

        assert sentence.startswith(f"port {port} is in use by pid {other.pid} (python")
        assert sentence.endswith("stop it or set services.mlflow_port=... (0 picks a free port)")
        other.kill()
    assert not (tmp_path / ".rl-loop" / "services.json").exists()


def test_unknown_runs_are_refused(refused, write_config) -> None:
    path = write_config()

    for command in ("resume", "evaluate", "doctor"):
        assert refused(command, "nobody", "-c", path).startswith("no run nobody in ")


def test_resuming_a_finished_run_says_that_there_is_nothing_to_do(rl_loop, write_config, config: LoopConfig) -> None:
    path = write_config()
    folder = RunFolder.create("small", config)
    for iteration, stage in folder.schedule():
        folder.finish(StageReport(stage=stage, iteration=iteration, seconds=2.0, metrics={"success_rate": 0.5}))

    done = rl_loop("resume", "small", "-c", path)

    assert done.status == 0
    assert "nothing to do: all 2 iterations of small are finished; `rl-loop resume " in done.out
    assert "50.0%" in done.out and str(folder.root) in done.out


def test_doctor_looks_at_a_run(rl_loop, write_config, config: LoopConfig) -> None:
    path = write_config()
    folder = RunFolder.create("small", config)
    folder.finish(StageReport(stage=Stage.EVALUATE, iteration=0, seconds=2.0))

    assert "1 of 8 stages finished; next: iteration 1, rollout" in rl_loop("doctor", "small", "-c", path).out

    folder.finish(StageReport(stage=Stage.JUDGE, iteration=1, seconds=2.0))
    done = rl_loop("doctor", "small", "-c", path)
    assert done.status == 1
    assert "iteration 1, judge is finished although iteration 1, rollout is not" in done.out


def test_doctor_looks_at_the_machine(rl_loop, write_config) -> None:
    done = rl_loop("doctor", "-c", write_config())

    assert done.status == 0, done.out
    for check in ("packages", "browser", "disk", "model", "tasks", "ports", "state"):
        assert check in done.out


def test_down_and_status_without_services(rl_loop, write_config) -> None:
    path = write_config()

    assert rl_loop("down", "-c", path).out == "nothing to stop\n"
    assert rl_loop("status", "-c", path).status == 1
