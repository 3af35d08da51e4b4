"""Holds the import table of the house: who may import whom, and which room owns which heavy dependency."""

import ast
import tomllib
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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
MOST_FILES = 20
"""Python files of one folder, beside `__init__.py`."""
MOST_LINES = 300

EVERYWHERE = "telemetry"
"""The room that every other one may import: ids of the log, and spans."""
MAY_IMPORT: dict[str, set[str]] = {
    "telemetry": set(),
    "browser_service": set(),
    "agent": {"browser_service.models", "browser_service.client", "browser_service.errors"},
    "environments": {"agent.types", "agent.verdict", "agent.failures", "browser_service.models"},
    "storage": {"agent.types", "agent.verdict", "agent.config", "browser_service.models"},
    "judging": {"agent", "browser_service.models", "environments.base", "storage"},
    "rollouts": {"agent", "browser_service.client", "browser_service.models", "environments", "storage"},
    "training": {"agent.types", "agent.verdict", "storage"},
    "flows": {"agent", "browser_service", "environments", "judging", "rollouts", "storage", "training"},
    "dashboard": {"agent", "environments", "browser_service", "judging", "storage"},
}
OWNERS: dict[str, set[str]] = {
    "playwright": {"browser_service"},
    "redis": {"browser_service"},
    "openai": {"agent"},
    "anthropic": {"agent"},
    "google": {"agent"},
    "gymnasium": {"agent", "flows"},  # flows only to register what it makes from a configuration, in gym_env.py
    "openenv": {"flows"},
    "verifiers": {"flows"},
    "docker": {"environments"},
    "asyncpg": {"environments"},
    "datasets": {"environments", "training"},  # training only for what TRL wants to be handed
    "pyarrow": {
        "dashboard",
        "flows",
        "judging",
    },  # dashboard only to export, judging only for a labelled set that is published as Parquet
    "torch": {"training"},
    "transformers": {"training"},
    "trl": {"training"},
    "peft": {"training"},
    "safetensors": {"training"},
    "prefect": {"flows"},
    "mlflow": {"flows"},
    "alembic": {"dashboard"},
    "sqlalchemy": {"dashboard", "flows"},  # flows only to cure Prefect's own use of it, in prefect_server.py
    "fsspec": {"storage"},
    "opentelemetry": {"telemetry"},
    "vllm": {"training"},  # only what vLLM or the sender loads: the loop's process never imports it
}
ONLY_FILE = {"trl": "training/learning/learner.py"}
OWN_PACKAGES = "environments/applications/*/site/*.py"
"""Programs that run inside an installed application's own virtual environment."""


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> list[str]:
    """Full names of the modules that a file imports, wherever in it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which room is meant; write the full name"
            found += [node.module or ""] + [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_row_allows(room: str) -> None:
    for path in files(room):
        for module in imports(path):
            other = module.split(".")[0]
            if other in ROOMS and other not in (room, EVERYWHERE):
                # `from agent import types` and `from agent.types import Task` both name an allowed module or a part of it.
                allowed = any(
                    module == name or module.startswith(name + ".") or name.startswith(module + ".")
                    for name in MAY_IMPORT[room]
                )
                assert allowed, (
                    f"{path.relative_to(ROOT)} imports {module}; {room} may import {sorted(MAY_IMPORT[room])}"
                )


@pytest.mark.parametrize("room", ROOMS)
def test_heavy_dependencies_stay_in_their_room(room: str) -> None:
    for path in files(room):
        for module in imports(path):
            name = module.split(".")[0]
            if name in OWNERS and not path.relative_to(ROOT).match(OWN_PACKAGES):
                assert room in OWNERS[name], f"{path.relative_to(ROOT)} imports {name}, which belongs to {OWNERS[name]}"
            if name in ONLY_FILE:
                assert path.relative_to(ROOT).as_posix() == ONLY_FILE[name]


def test_folders_beside_each_other_have_no_import_cycles() -> None:
    """An import inside a function counts too: it hides a cycle, and does not remove it."""
    modules = all_modules()
    edges: dict[str, set[str]] = {}
    for path in modules.values():
        folder = path.parent.relative_to(ROOT).as_posix()
        for other in imports(path):
            target = modules[other].parent.relative_to(ROOT).as_posix() if other in modules else folder
            pairs = zip(parts_of(folder), parts_of(target), strict=False)
            beside = next(((mine, its) for mine, its in pairs if mine != its), None)
            if beside is not None:
                edges.setdefault(beside[0], set()).add(beside[1])
    check_no_cycle(edges)


@pytest.mark.parametrize("room", ROOMS)
def test_folders_and_files_are_small(room: str) -> None:
    for path in files(room):
        lines = len(path.read_text().splitlines())
        assert lines <= MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines; split it by ideas"
    for folder in {path.parent for path in files(room)}:
        names = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(names) <= MOST_FILES, f"{folder.relative_to(ROOT)} has {len(names)} Python files; make sub-rooms"


def parts_of(folder: str) -> list[str]:
    """The folder and those around it, outermost first. Example: `flows/stages` -> `["flows", "flows/stages"]`."""
    parts = folder.split("/")
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def all_modules() -> dict[str, Path]:
    """Each module of the rooms by its full name; a package has the name of its folder."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for room in ROOMS
        for path in files(room)
    }


def test_modules_have_no_import_cycles() -> None:
    modules = all_modules()
    check_no_cycle(
        {
            name: {module for module in top_level_imports(path, modules) if module in modules and module != name}
            for name, path in modules.items()
        }
    )


def check_no_cycle(edges: dict[str, set[str]]) -> None:
    """Fails with the path of a cycle."""
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"import cycle: {' -> '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for other in sorted(edges.get(name, ())):
                visit(other, (*path, name))
            done.add(name)

    for name in sorted(edges):
        visit(name, ())


def top_level_imports(path: Path, modules: Collection[str]) -> list[str]:
    """Modules imported when the file is loaded; an import inside a function or for type checking is not."""
    found: list[str] = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [part if part in modules else node.module for part in parts]
    return found


def test_no_data_is_pickled() -> None:
    for room in ROOMS:
        for path in files(room):
            text = path.read_text()
            for word in ("pickle.", "torch.save(", "torch.load(", "joblib", "allow_pickle=True"):
                assert word not in text, f"{path.relative_to(ROOT)} uses {word}; data is JSON, PNG or safetensors"


def test_no_merge_is_left_half_done() -> None:
    folders = (*ROOMS, "benchmarks", "configs", "docs", "examples", "scripts", "tests")
    written = [*ROOT.glob("*.*"), *(path for folder in folders for path in (ROOT / folder).rglob("*.*"))]
    for path in written:
        if "node_modules" in path.parts:  # there after the front end was built in place
            continue
        if path.suffix in (".md", ".py", ".toml", ".txt", ".yaml", ".js", ".lua", ".css", ".html"):
            marks = [line for line in path.read_text().splitlines() if line.startswith(("<<<<<<< ", ">>>>>>> "))]
            assert not marks, f"{path.relative_to(ROOT)} still has {marks[0]!r}"


def test_only_the_layout_names_the_files_of_a_run_folder() -> None:
    names = {
        "config.yaml",
        "run.json",
        "done.json",
        "update_config.json",
        "*/run.json",
        "iterations/*",
        "iterations/*/*",
    }
    homes = {ROOT / "storage/run_layout.py"}
    said = {
        f"{path.relative_to(ROOT)}: {node.value}"
        for room in ROOMS
        for path in set(files(room)) - homes
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    }
    assert said == set()


def test_the_package_has_every_file_of_its_environments() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    found = [path for path in (ROOT / "environments").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = [str(path.relative_to(ROOT)) for path in found if path.suffix != ".py"]
    missing = [name for name in missing if not any(fnmatch(Path(name).name, Path(one).name) for one in patterns)]
    assert not missing, "add their suffix to package-data in pyproject.toml"
