"""The documentation names files that exist, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "configs").glob("*.md")])
ROOMS = (
    "agent|benchmarks|browser_service|configs|dashboard|docs|environments|examples|flows|judging|rollouts|scripts|storage|"
    "telemetry|tests|training"
)
FILE = re.compile(rf"(?<![\w/.])(?:{ROOMS})/[\w/.-]*\.(?:py|md|yaml|js|lua)\b")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


MAP = ROOT / "docs" / "map.md"
"""Its paths are relative to their rooms, and two rooms may have the same one; `scripts.map --check` keeps it right."""


@pytest.mark.parametrize("page", [page for page in PAGES if page != MAP], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    missing = [name for name in FILE.findall(text) if not (ROOT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []
