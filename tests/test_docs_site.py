"""The documentation site is built without a warning, loads nothing from elsewhere, and its tutorial's commands exist."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from flows.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs/tutorial.md", ROOT / "docs/scale.md"]


def test_the_tutorials_commands_exist() -> None:
    root: Any = get_command(app)
    known = root.commands
    lines = [line for page in PAGES for line in page.read_text().splitlines() if line.startswith("rl-loop ")]

    assert len(lines) >= 8
    for line in lines:
        words = line.split()
        assert words[1] in known, line
        if below := getattr(known[words[1]], "commands", None):
            assert words[2] in below, line


@pytest.mark.chaos
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr[-3000:]
    assert "heal_s" in (tmp_path / "reference/configuration.html").read_text(), "settings come from docstrings"
    assert "rl-loop cancel" in (tmp_path / "reference/commands.html").read_text()
    loaded = re.compile(r"<(?:script|link rel=\"stylesheet\"|img)[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*\"")
    for page in tmp_path.rglob("*.html"):
        assert not (found := loaded.search(page.read_text())), (page, found)
