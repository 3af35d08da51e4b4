"""Hooks of the documentation site (mkdocs.yml): links that lead out of docs/ become paths, commands print their own help."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#\s]+)(?:#[^)]*)?\)")
COMMANDS = "<!-- commands -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text for the site."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    here = Path(page.file.src_path).parent

    def inside(found: re.Match[str]) -> str:
        target = (ROOT / "docs" / here / found[0].rpartition("(")[2].rstrip(")").partition("#")[0]).resolve()
        return found[0] if target.is_relative_to(ROOT / "docs") else f"{found[1]} (`{target.relative_to(ROOT)}`)"

    return OUTSIDE.sub(inside, markdown)


def commands() -> str:
    """The help of every command of `rl-loop`, as Markdown."""
    from typer.main import get_command

    from flows.cli import app

    root: Any = get_command(app)
    parts: list[str] = []
    for name, command in root.commands.items():
        below = getattr(command, "commands", None)
        for full, one in [(f"{name} {sub}", two) for sub, two in below.items()] if below else [(name, command)]:
            options = [
                f"| `{' '.join(getattr(p, 'opts', [p.name]))}` | {(getattr(p, 'help', '') or '').replace('|', '/')} |"
                for p in one.params
            ]
            parts += [f"## rl-loop {full}", one.help or "", "| | |\n|---|---|\n" + "\n".join(options)]
    return "\n\n".join(parts)
