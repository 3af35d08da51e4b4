"""Writes docs/map.md, the tree of the project with one line per file from its docstring: `python -m scripts.map`."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = (
    "browser_service",
    "agent",
    "environments",
    "storage",
    "telemetry",
    "rollouts",
    "judging",
    "training",
    "flows",
    "dashboard",
    "examples",
    "benchmarks",
    "scripts",
)
OTHERS = {
    "configs/": "one YAML file per documented use",
    "policies/tiny/": "the demo's first policy, made by scripts/make_tiny_policy.py",
    "docs/": "facts that were found the hard way, decisions",
    "tests/": "mirrors the rooms; integration/ runs the whole stack and kills its parts",
}


def main() -> int:
    """Writes docs/map.md; with `--check` only returns 1 if the file is out of date."""
    place = ROOT / "docs" / "map.md"
    new = f"# Every file in one line\n\nFrom the docstrings, by `python -m scripts.map`.\n\n```\n{tree()}\n```\n"
    if "--check" in sys.argv:
        return int(not place.exists() or new != place.read_text())
    place.write_text(new)
    return 0


def tree() -> str:
    """The lines of the tree."""
    lines: list[str] = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            sentence = first_sentence(path)
            if path.name == "__init__.py" and path.parent == ROOT / room:
                lines.append(f"{room + '/':<34} {sentence}")
            elif path.name == "__init__.py" and sentence:
                lines.append(f"  {path.parent.relative_to(ROOT / room).as_posix() + '/':<32} {sentence}")
            elif sentence:
                lines.append(f"  {path.relative_to(ROOT / room).as_posix():<32} {sentence}")
    lines += [f"{name:<34} {what}" for name, what in OTHERS.items()]
    return "\n".join(lines)


def first_sentence(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n", 1)[0].rstrip()


if __name__ == "__main__":
    sys.exit(main())
