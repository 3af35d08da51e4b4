"""Commands that messages tell people to run work as printed, wherever the run lies; without a checkout there is a way too."""

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from flows.cli import app
from flows.settings.checkout import DEFAULT_CONFIG, PROJECT, NoConfig, default_config
from flows.settings.hints import on_run, on_services
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.starting.starting import find_run, nothing_to_do
from storage.stages import StageReport

ROOMS = (
    "agent",
    "browser_service",
    "dashboard",
    "environments",
    "flows",
    "judging",
    "rollouts",
    "storage",
    "telemetry",
    "training",
)
MORE = {"rejudge": " --set NAME"}
"""Options that a command requires beside its run."""


def strings(path: Path) -> Iterator[str]:
    """The texts of a module that may be printed, docstrings left out; a value in an f-string reads VALUE."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.value)
        for block in ast.walk(tree)
        if isinstance(block, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for node in block.body
        if isinstance(node, ast.Expr)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "VALUE" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inside:
            yield node.value


def printed_hints() -> list[tuple[str, str]]:
    """Every `rl-loop ...` that a message may print, written in backquotes or made by flows/settings/hints.py, with its module."""
    found: list[tuple[str, str]] = []
    for path in (path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py"))):
        module = str(path.relative_to(PROJECT))
        found += [(module, hint) for text in strings(path) for hint in re.findall(r"`(rl-loop [^`]*)`", text)]
        source = path.read_text()
        found += [
            (module, f"rl-loop {verb} RUN{MORE.get(verb, '')}")
            for verb in re.findall(r"on_run\(['\"](\w+)['\"]", source)
        ]
        found += [
            (module, f"rl-loop {verb} services.state_dir=S")
            for verb in re.findall(r"on_services\(['\"](\w+)['\"]", source)
        ]
    return found


def parse(command: str) -> None:
    """Read a command line as `rl-loop` does, without running it. Raises `TyperException`."""
    _, name, *rest = shlex.split(command)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup) and name in group.commands, f"`{command}`: there is no such command"
    found = group.commands[name]
    if isinstance(found, TyperGroup):  # `rl-loop tasks convert`, a name and no command line
        assert rest[0] in found.commands, f"`{command}`: there is no such command"
    else:
        found.make_context(name, rest)


def test_every_printed_command_can_be_run() -> None:
    hints = printed_hints()

    assert {"rl-loop up", "rl-loop resume RUN", "rl-loop down services.state_dir=S"} <= {hint for _, hint in hints}
    for module, hint in hints:
        try:
            parse(hint)
        except TyperException as error:
            raise AssertionError(f"{module} prints `{hint}`: {error}") from error


def test_a_hint_names_the_run_as_the_command_finds_it(
    config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_config
) -> None:
    """By name below the default configuration's runs_dir, by path everywhere else, whatever the working directory is."""
    root = RunFolder.create("a", config).root
    monkeypatch.chdir("/")
    assert on_run("resume", root) == f"`rl-loop resume {root}`"
    assert find_run(str(root), None).root == root

    home = tmp_path / "checkout"
    (home / "configs").mkdir(parents=True)
    (home / "prefect.yaml").touch()
    shutil.copy(write_config(), home / DEFAULT_CONFIG)
    shutil.copytree(root, home / "runs" / "a")
    monkeypatch.chdir(home / "configs")
    assert on_run("resume", home / "runs" / "a", "iterations=4") == "`rl-loop resume a iterations=4`"
    assert find_run("a", None).root == home / "runs" / "a"
    assert on_services("down", home / ".rl-loop") == "`rl-loop down`"
    assert on_services("down", tmp_path / "my state") == f"`rl-loop down 'services.state_dir={tmp_path / 'my state'}'`"


def test_a_finished_run_says_how_to_make_it_longer_and_that_works(rl_loop, config: LoopConfig, tmp_path: Path) -> None:
    folder = RunFolder.create("a", config)
    for iteration, stage in folder.schedule():
        folder.finish(StageReport(stage=stage, iteration=iteration, seconds=1.0))
    sentence = nothing_to_do(folder)

    (hint,) = re.findall(r"`rl-loop ([^`]*)`", sentence)
    parse(f"rl-loop {hint}")
    assert sentence in rl_loop("resume", folder.root).out
    found = find_run(shlex.split(hint)[1], None)
    assert found.root == folder.root


def test_the_default_configuration_is_looked_for_upwards_and_in_the_checkout(tmp_path: Path) -> None:
    nowhere, checkout = tmp_path / "a" / "b", tmp_path / "checkout"
    nowhere.mkdir(parents=True)
    (checkout / "configs").mkdir(parents=True)

    with pytest.raises(NoConfig, match=r"no configuration: .* name the file with -c FILE"):
        default_config(nowhere, checkout)
    (checkout / DEFAULT_CONFIG).touch()
    assert default_config(nowhere, checkout) == checkout / DEFAULT_CONFIG
    (tmp_path / "a" / "configs").mkdir()
    (tmp_path / "a" / DEFAULT_CONFIG).touch()
    assert default_config(nowhere, checkout) == tmp_path / "a" / DEFAULT_CONFIG


def test_commands_outside_a_checkout(
    rl_loop, refused, begun: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the checkout that the package is installed from, and without one."""
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    assert "packages" in rl_loop("doctor").out
    assert rl_loop("status", f"services.state_dir={tmp_path}").status == 1
    assert rl_loop("down", f"services.state_dir={tmp_path}").out == "nothing to stop\n"

    monkeypatch.setattr(default_config, "__defaults__", (tmp_path / "no checkout",))
    bare = rl_loop("doctor")
    assert bare.status == 1 and "packages" in bare.out and "browser" in bare.out
    assert "name the file with -c FILE" in " ".join(bare.out.split())
    for command in (["up"], ["down"], ["status"], ["env"], ["run"], ["demo"], ["resume", "a"], ["monitor", "a"]):
        assert refused(*command).startswith(
            f"no configuration: there is no rl-loop.yaml and no {DEFAULT_CONFIG} in {outside},"
        )
    assert "1 of 8 stages finished" in rl_loop("doctor", begun.root).out
    assert "iteration 1/2" in rl_loop("monitor", begun.root, "--once").out
    assert rl_loop("export", begun.root).status == 0 and (outside / "a.parquet").exists()
