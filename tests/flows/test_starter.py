"""`rl-loop init`, and the package as people install it: a built wheel in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from flows.settings.checkout import PROJECT, default_config
from flows.settings.loop_config import load_config


def test_a_starter_project_has_everything_that_a_run_reads(rl_loop, refused, tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "my-agent"
    made = rl_loop("init", root)
    assert made.status == 0 and made.out.endswith(f"next: cd {root} && rl-loop run --dry-run\n"), made

    (root / "environment" / "deep").mkdir()
    monkeypatch.chdir(root / "environment" / "deep")
    config = load_config(default_config(Path.cwd()))
    assert config.name == "my-agent" and config.runs_dir == root / "runs"
    assert (config.policy.model / "model.safetensors").is_file() and Path(config.environment.folder).parent == root
    checked = rl_loop("tasks", "check", root / "tasks.jsonl")
    assert checked.status == 0 and "2 " in checked.out, checked
    assert "is not empty" in refused("init", root)
    assert "is a file" in refused("init", root / "tasks.jsonl")


@pytest.mark.chaos
def test_the_wheel_works_outside_of_the_repository(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: object, cwd: Path = tmp_path) -> str:
        line = [*map(str, command)]
        done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    source = tmp_path / "source"
    run("git", "clone", "--quiet", "--no-hardlinks", PROJECT, source)
    wheel = ("wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "-w", tmp_path, source)
    run(sys.executable, "-m", "pip", *wheel)
    (built,) = tmp_path.glob("*.whl")
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False)
    python = fresh / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", built)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # the dependencies; this package comes first

    kept = run(
        "git", "ls-files", "agent", "browser_service", "dashboard", "environments", "flows", "judging", cwd=PROJECT
    )
    kept += run(
        "git",
        "ls-files",
        "rollouts",
        "storage",
        "telemetry",
        "training",
        "policies",
        "examples/own_environment",
        cwd=PROJECT,
    )
    sources = ("dashboard/web/",)  # what the front end is built from
    missing = [one for one in kept.split() if not one.startswith(sources) and not (site / one).is_file()]
    assert missing == []

    command = fresh / "bin" / "rl-loop"
    run(command, "init", "my-agent")
    project = tmp_path / "my-agent"
    assert str(site) in run(python, "-c", "import flows; print(flows.__file__)", cwd=project)
    sized = run(command, "run", "--dry-run", cwd=project)
    assert "10 x rollout" in sized and str(project / "runs") in sized, sized
    played = run(command, "environments", "list", cwd=project)
    assert "miniwob" in played
