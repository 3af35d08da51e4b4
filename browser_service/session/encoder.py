"""Where Playwright finds the encoder of its films: the package `imageio-ffmpeg` brings one, where Playwright would download it."""

import json
import os
from pathlib import Path

import playwright

DEFAULT = Path.home() / ".cache" / "ms-playwright"


def browsers_folder(beside: Path) -> Path | None:
    """A folder with Playwright's own browsers and an ffmpeg, made in `beside`; None where there is nothing to add."""
    own = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or DEFAULT)
    name = f"ffmpeg-{_revision()}"
    if (own / name).exists():
        return None
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:  # films can't be made then, and a lease that wants one is told
        return None
    folder = beside / "browsers"
    (folder / name).mkdir(parents=True)
    (folder / name / "ffmpeg-linux").symlink_to(get_ffmpeg_exe())
    for browser in own.iterdir() if own.is_dir() else ():
        (folder / browser.name).symlink_to(browser)
    return folder


def _revision() -> str:
    """Which ffmpeg this Playwright looks for."""
    listed = Path(playwright.__file__).parent / "driver" / "package" / "browsers.json"
    browsers = json.loads(listed.read_text(encoding="utf-8"))["browsers"]
    return next(browser["revision"] for browser in browsers if browser["name"] == "ffmpeg")
