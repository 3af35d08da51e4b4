"""The pages of the PyPI package `miniwob`, read once into memory, with a bootstrap script in each task page."""

import importlib.util
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("core", "common", "miniwob")
FILES = "/files"
"""Path below which the server has the libraries, the same for all episodes."""
LIBRARIES = ("core/", "common/")
BOOTSTRAP, BUNDLE = "bootstrap.js", "scripts.js"
NAME = re.compile(rb'"\.\./((?:core|common)/[^"&?]+)"')
SCRIPTS = re.compile(
    rb'<script src="\.\./core/core\.js"></script>(?:\s*<script src="\.\./(?:core|common)/[^"&?]+"></script>)*'
)
"""The libraries of a task page: in all of version 1.0 they follow core.js directly."""
SHARED = re.compile(rb'(src|href)="\.\./((?:core|common)/[^"]+)"')
"""Another file of a task page that does not belong to it alone."""


@dataclass(frozen=True)
class Page:
    """One file as it is served. Example: `Page(body=b"...", media_type="text/css")`."""

    body: bytes
    media_type: str


class PagesNotFound(RuntimeError):
    """The MiniWoB++ pages are not installed, or are of an unknown version."""


def html_folder() -> Path:
    """Returns the pages' folder in the installed package, without importing the package, which needs a browser driver.

    Raises:
        PagesNotFound: if the package is missing.
    """
    spec = importlib.util.find_spec("miniwob")
    if spec is None or not spec.submodule_search_locations:
        raise PagesNotFound("The MiniWoB++ pages are not installed; install the Python package `miniwob`.")
    return Path(spec.submodule_search_locations[0]) / "html"


def read_pages(folder: Path) -> dict[str, Page]:
    """Reads every file below `core/`, `common/` and `miniwob/` (about 3 MB), by path, such as `core/core.js`.

    Raises:
        PagesNotFound: if there is no task page.
    """
    files = [path for name in FOLDERS for path in (folder / name).rglob("*") if path.is_file()]
    pages = {path.relative_to(folder).as_posix(): Page(path.read_bytes(), media_type(path)) for path in files}
    if not any(name.startswith("miniwob/") for name in pages):
        raise PagesNotFound(
            f"Expected MiniWoB++ task pages in {folder / 'miniwob'} and found none; reinstall `miniwob`."
        )
    pages[BOOTSTRAP] = Page(Path(__file__).with_name(BOOTSTRAP).read_bytes(), "text/javascript")
    return pages


def media_type(path: Path) -> str:
    """The Content-Type for a file name."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def task_page(html: bytes, seed: int) -> bytes:
    """The task page as it is served: its libraries and the bootstrap script are one script, at an address that all episodes
    of its family share. A reused browser then has it in its caches, compiled.

    The bootstrap comes after core.js, whose definitions it changes, and before all others. Raises:
        PagesNotFound: if the page does not load core.js in the known way.
    """
    found = SCRIPTS.search(html)
    if found is None:
        raise PagesNotFound(
            "Expected '<script src=\"../core/core.js\">' in the MiniWoB++ page and found none; use miniwob 1.x."
        )
    names = "&".join(name.decode() for name in NAME.findall(found[0]))
    ours = f'<script src="{FILES}/{BUNDLE}?{names}" data-seed="{seed}"></script>'
    whole = html[: found.start()] + ours.encode() + html[found.end() :]
    return SHARED.sub(rb'\1="' + FILES.encode() + rb'/\2"', whole)


def bundle(pages: Mapping[str, Page], names: Sequence[str]) -> Page | None:
    """Libraries and the bootstrap script as one script; None if one of `names` is no library."""
    if not names or any(name not in pages or not name.startswith(LIBRARIES) for name in names):
        return None
    first, *others = names
    parts = (pages[name].body for name in (first, BOOTSTRAP, *others))
    return Page(b"\n;\n".join(parts), "text/javascript")
