"""The pages of the PyPI package `miniwob`, read once into memory, with a bootstrap script in each task page."""

import importlib.util
import mimetypes
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("core", "common", "miniwob")
CORE_TAG = '<script src="../core/core.js"></script>'


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
    pages["bootstrap.js"] = Page(Path(__file__).with_name("bootstrap.js").read_bytes(), "text/javascript")
    return pages


def media_type(path: Path) -> str:
    """The Content-Type for a file name."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def with_bootstrap(html: bytes, seed: int) -> bytes:
    """Inserts the bootstrap script into the task page after its core.js, whose definitions the script changes.

    Raises:
        PagesNotFound: if the page does not load core.js in the known way.
    """
    before, tag, after = html.partition(CORE_TAG.encode())
    if not tag:
        raise PagesNotFound(f"Expected {CORE_TAG!r} in the MiniWoB++ page and found none; use miniwob 1.x.")
    ours = f'<script src="../bootstrap.js" data-seed="{seed}"></script>'
    return before + tag + ours.encode() + after
