"""Provides Playwright's video encoder from the package `imageio-ffmpeg`; Playwright itself would download one."""

import json
import os
from pathlib import Path

import playwright

DEFAULT = Path.home() / ".cache" / "ms-playwright"


def browsers_folder(beside: Path) -> Path | None:
    """A folder with Playwright's own browsers and an ffmpeg, made in `beside`; None if nothing has to be added."""
    own = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or DEFAULT)
    name = f"ffmpeg-{_revision()}"
    if (own / name).exists():
        return None
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:  # no videos then: a lease that wants one gets an error
        return None
    folder = beside / "browsers"
    (folder / name).mkdir(parents=True)
    (folder / name / "ffmpeg-linux").symlink_to(get_ffmpeg_exe())
    for browser in own.iterdir() if own.is_dir() else ():
        (folder / browser.name).symlink_to(browser)
    return folder


def _revision() -> str:
    """The ffmpeg revision that this Playwright looks for."""
    listed = Path(playwright.__file__).parent / "driver" / "package" / "browsers.json"
    browsers = json.loads(listed.read_text(encoding="utf-8"))["browsers"]
    return next(browser["revision"] for browser in browsers if browser["name"] == "ffmpeg")
