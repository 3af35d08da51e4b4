"""Holds the import table of the house: who may import whom, and which room owns which heavy dependency."""

import ast
from collections.abc import Collection
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("agent", "browser_service", "dashboard", "environments", "flows", "judging", "training")

MAY_IMPORT: dict[str, set[str]] = {
    "browser_service": set(),
    "agent": {"browser_service.models", "browser_service.client", "browser_service.errors"},
    "environments": {"agent.types", "agent.failures", "browser_service.models"},
    "training": {"agent.types", "agent.store"},
    "judging": {"agent", "browser_service.models", "environments.base"},
    "flows": {"agent", "browser_service", "environments", "judging", "training"},
    "dashboard": {"agent", "environments", "browser_service"},
}
OWNERS: dict[str, set[str]] = {
    "playwright": {"browser_service"},
    "redis": {"browser_service"},
    "openai": {"agent"},
    "anthropic": {"agent"},
    "google": {"agent"},
    "gymnasium": {"agent", "flows"},  # flows only to register what it makes from a configuration, in gym_env.py
    "docker": {"environments"},
    "datasets": {"environments", "training"},  # training only for what TRL wants to be handed
    "pyarrow": {"flows"},
    "torch": {"training"},
    "transformers": {"training"},
    "trl": {"training"},
    "peft": {"training"},
    "safetensors": {"training"},
    "prefect": {"flows"},
    "mlflow": {"flows"},
    "sqlalchemy": {"dashboard", "flows"},  # flows only to cure Prefect's own use of it, in prefect_server.py
    "vllm": set(),
}
ONLY_FILE = {"trl": "training/learner.py"}


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
            if other in ROOMS and other != room:
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
            if name in OWNERS:
                assert room in OWNERS[name], f"{path.relative_to(ROOT)} imports {name}, which belongs to {OWNERS[name]}"
            if name in ONLY_FILE:
                assert path.relative_to(ROOT).as_posix() == ONLY_FILE[name]


def test_modules_have_no_import_cycles() -> None:
    modules = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for r in ROOMS
        for p in files(r)
    }
    edges = {
        name: {m for m in top_level_imports(path, modules) if m in modules and m != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"import cycle: {' -> '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for other in sorted(edges[name]):
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
        if path.suffix in (".md", ".py", ".toml", ".txt", ".yaml", ".js", ".lua", ".css", ".html"):
            marks = [line for line in path.read_text().splitlines() if line.startswith(("<<<<<<< ", ">>>>>>> "))]
            assert not marks, f"{path.relative_to(ROOT)} still has {marks[0]!r}"
