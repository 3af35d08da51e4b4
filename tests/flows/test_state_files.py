"""Files that commands read, when they are empty, cut, binary, of another schema or a folder: one sentence, and a way out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.services.service_files import status_file
from flows.services.services import address_of, shut_down
from flows.services.stack import read_stack, stack_file
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.tracking.summary import rows
from rollouts.plan import PLAN, planned_groups, read_plan
from storage.errors import LoopError, RunFolderError, ServicesError
from storage.progress import ProgressFile, read_progress
from storage.stages import Stage

Damage = Callable[[Path], object]


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "binary": lambda path: path.write_bytes(b"\x80\xff\x00\x01" * 64),
    "other schema": lambda path: path.write_text('{"name": ["no", "such"]}'),
    "folder": as_folder,
}


@pytest.fixture(params=DAMAGES)
def damage(request: pytest.FixtureRequest) -> Damage:
    """One way in which a file is broken."""
    return DAMAGES[request.param]


def test_services_json(damage: Damage, config: LoopConfig, running_stack, refused, rl_loop, write_config) -> None:
    running_stack(config)
    path = status_file(config.services.state_dir)
    damage(path)

    for command in ("status", "env"):
        sentence = refused(command, "-c", write_config())
        assert (
            sentence.startswith(f"{path} cannot be read (")
            and f"`rl-loop down services.state_dir={path.parent}`" in sentence
        )
    with pytest.raises(ServicesError, match=r"services\.json cannot be read"):
        address_of(path.parent, "mlflow")
    assert "ports" in rl_loop("doctor", "-c", write_config()).out
    if path.is_dir():
        with pytest.raises(
            ServicesError, match=r"services\.json cannot be removed \(Is a directory\); remove it by hand"
        ):
            shut_down(path.parent)
    else:
        assert rl_loop("down", f"services.state_dir={path.parent}").out == "nothing to stop\n"
        assert not path.exists()


def test_a_service_that_is_not_there(config: LoopConfig, running_stack) -> None:
    running_stack(config)

    with pytest.raises(ServicesError, match="have no juke-box; stop them with `rl-loop down "):
        address_of(config.services.state_dir, "juke-box")


def test_stack_json(damage: Damage, config: LoopConfig, running_stack, refused, write_config) -> None:
    running_stack(config)
    damage(stack_file(config.services.state_dir))

    assert "stack.json does not say what the services were started with" in refused("up", "-c", write_config())
    with pytest.raises(ServicesError, match=r"`rl-loop down services\.state_dir="):
        read_stack(config.services.state_dir)


@pytest.mark.parametrize("name", ["run.json", "config.yaml"])
def test_records_of_a_run(damage: Damage, name: str, config: LoopConfig, refused, write_config) -> None:
    folder = RunFolder.create("a", config)
    damage(folder.root / name)

    for command in ("resume", "doctor", "monitor", "export"):
        assert name in refused(command, "a", "-c", write_config())


def test_done_json(damage: Damage, begun: RunFolder, rl_loop) -> None:
    path = begun.stage_dir(0, Stage.EVALUATE) / "done.json"
    damage(path)

    with pytest.raises(RunFolderError, match=r"done\.json (is damaged|cannot be read).*delete it and resume"):
        begun.reports()
    doctor = rl_loop("doctor", begun.root)
    assert doctor.status == 1 and "delete it and resume" in " ".join(doctor.out.split())


def test_plan_jsonl(damage: Damage, begun: RunFolder) -> None:
    planned_groups(begun.inputs, 1, Stage.ROLLOUT)
    path = begun.stage_dir(1, Stage.ROLLOUT) / PLAN
    damage(path)

    with pytest.raises(RunFolderError, match=r"plan\.jsonl is (damaged|empty).*delete the folder"):
        read_plan(begun, 1, Stage.ROLLOUT)


def test_what_is_only_shown_is_left_out(damage: Damage, begun: RunFolder) -> None:
    path = begun.iteration_file(0)
    path.write_text('{"iteration_s": 2.0, "overhead_share": 0.25}')
    ProgressFile(begun.stage_dir(1, Stage.ROLLOUT)).say("playing")
    progress = begun.stage_dir(1, Stage.ROLLOUT) / "progress-00.json"
    assert rows(begun)[0].overhead_share == 0.25
    damage(path)
    damage(progress)

    assert rows(begun)[0].overhead_share is None
    assert read_progress(progress.parent).note == ""


def test_the_lock(damage: Damage, config: LoopConfig, refused, rl_loop) -> None:
    folder = RunFolder.create("a", config)
    with folder.lock():
        pass
    damage(folder.root / "lock")

    if (folder.root / "lock").is_dir():
        assert "run a cannot be written: " in refused("compact", folder.root)
        assert "lock cannot be read (Is a directory)" in " ".join(rl_loop("doctor", folder.root).out.split())
    else:
        assert folder.writer() is None
        with folder.lock():
            assert folder.writer() is not None


def test_the_configuration(damage: Damage, rl_loop, write_config) -> None:
    path = write_config()
    damage(path)

    for command in ("up", "down", "status", "doctor"):
        done = rl_loop(command, "-c", path)
        assert done.status == 1 and done.err.startswith("rl-loop: ") and len(done.err) < 1_000


def test_a_runs_folder_that_is_a_file(config: LoopConfig, refused, write_config) -> None:
    config.runs_dir.write_text("a file")

    assert refused("run", write_config()) == f"runs_dir: {config.runs_dir} is no folder; choose another place"
    with pytest.raises(LoopError):
        RunFolder.open(config.runs_dir / "a")


def test_a_state_folder_that_is_a_file(config: LoopConfig, refused, rl_loop, write_config) -> None:
    config.services.state_dir.write_text("a file")

    assert (
        refused("up", "-c", write_config())
        == f"services.state_dir: {config.services.state_dir} is no folder; choose another place"
    )
    assert rl_loop("status", "-c", write_config()).status == 1
    assert rl_loop("down", "-c", write_config()).out == "nothing to stop\n"
