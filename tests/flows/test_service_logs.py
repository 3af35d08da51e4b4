"""`rl-loop logs`: the newest lines of the services, and new ones as they come."""

from collections.abc import Callable, Generator
from pathlib import Path

from conftest import RlLoop, RunningStack

from flows.services.service_logs import shown
from flows.settings.loop_config import LoopConfig


def test_the_newest_lines_come_first_and_new_ones_follow(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("one\ntwo\nthree\nha")

    lines = shown({"vllm": log}, lines=2, follow=True)
    assert isinstance(lines, Generator)

    assert [next(lines), next(lines)] == ["two", "three"]
    with log.open("a") as file:
        file.write("lf\nfour\n")
    assert [next(lines), next(lines)] == ["half", "four"]
    lines.close()


def test_lines_of_several_services_are_named_and_torn_ones_are_shown(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x\n\xff torn")
    logs = {"a": tmp_path / "a", "long": tmp_path / "missing"}

    assert list(shown(logs, lines=5, follow=False)) == ["a    | x", "a    | \ufffd torn"]
    assert list(shown(logs, lines=0, follow=False)) == ["a    | \ufffd torn"]


def test_the_command_names_the_services(
    config: LoopConfig,
    write_config,
    rl_loop: RlLoop,
    refused: Callable[..., str],
    running_stack: RunningStack,
    tmp_path: Path,
) -> None:
    path = write_config(services={"state_dir": str(tmp_path / "state"), "browser_slots": 2})
    assert "no services were started from" in refused("logs", "-c", path)
    running_stack(
        config.model_copy(update={"services": config.services.model_copy(update={"state_dir": tmp_path / "state"})})
    )
    (tmp_path / "state/log").write_text("ready\n")

    assert "services there: vllm, prefect" in refused("logs", "redis", "-c", path)
    done = rl_loop("logs", "vllm", "-c", path)
    assert (done.status, done.out) == (0, "ready\n")
