"""Uploads: gives files of the lease's folder to a page."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from browser_service import models
from browser_service.commands.hand import ActionFailed, Hand
from browser_service.tabs.notices import FILES
from browser_service.tabs.world import PageMoved, World

CHOOSER_S = 3.0
"""Seconds within which a click must open a file chooser."""


def folder_of(root: Path | None, name: str | None) -> Path | None:
    """The folder of this name below the service's folder of files, if it exists; never that folder itself, because it
    contains the folders of all tasks.
    """
    if root is None or name is None:
        return None
    try:
        folder, whole = (root / name).resolve(), root.resolve()
        return folder if whole in folder.parents and folder.is_dir() else None
    except (OSError, ValueError):
        return None


async def upload(hand: Hand, action: models.Upload) -> None:
    files = await asyncio.to_thread(_staged, [_allowed(hand, name) for name in action.files], hand.staging)
    try:
        realm, number = await hand.tab.realm(action.id)
    except PageMoved:
        raise _stale() from None
    if await _given(realm.world, files, "fileInput", number):
        return
    spot = await hand.aim(action.id)
    await _choose(hand, files, spot["x"], spot["y"], f"mark {action.id}")


async def upload_coords(hand: Hand, action: models.UploadCoords) -> None:
    hand.check_point(action.x, action.y)
    files = await asyncio.to_thread(_staged, [_allowed(hand, name) for name in action.files], hand.staging)
    if not await _given(await hand.tab.world(), files, "fileInputAt", action.x, action.y):
        await _choose(hand, files, action.x, action.y, f"the element at ({action.x:g}, {action.y:g})")


async def _given(world: World, files: list[str], function: str, *where: float) -> bool:
    """Gives the files to the file input that the page script finds; False if there is none."""
    try:
        node = await world.object(function, *where)
    except PageMoved:
        raise _stale() from None
    if node:
        if len(files) > 1 and not await _takes_several(world, node):
            raise _one_only(len(files))
        await world.send("DOM.setFileInputFiles", {"files": files, "objectId": node})
    return node is not None


async def _choose(hand: Hand, files: list[str], x: float, y: float, named: str) -> None:
    """Clicks and gives the files to the chooser that opens."""
    try:
        async with hand.tab.page.expect_file_chooser(timeout=CHOOSER_S * 1000) as chooser:
            await hand.tab.page.mouse.click(x, y)
        opened = await chooser.value
        hand.tab.notices.drop(FILES)
        if len(files) > 1 and not opened.is_multiple():
            raise _one_only(len(files))
        await opened.set_files(files)
    except PlaywrightTimeout:
        raise ActionFailed("NO_FILE_CHOOSER", f"{named} takes no files, and a click on it asks for none") from None
    except PlaywrightError as error:
        if hand.tab.crashed or hand.tab.page.is_closed() or "webkitdirectory" not in error.message:
            raise
        raise ActionFailed("FILES_REFUSED", f"{named} does not take these files: it wants a folder of files") from None


async def _takes_several(world: World, node: str) -> bool:
    asked = {"objectId": node, "functionDeclaration": "function() { return this.multiple }", "returnByValue": True}
    return bool((await world.send("Runtime.callFunctionOn", asked))["result"].get("value"))


def _one_only(count: int) -> ActionFailed:
    return ActionFailed("ONE_FILE_ONLY", f"the page takes one file here, found {count}; give it one at a time")


def _stale() -> ActionFailed:
    return ActionFailed("STALE_MARK", "the page changed before the action reached it; look again")


def _allowed(hand: Hand, name: str) -> Path:
    """The file of this name in the lease's folder, and no file outside it, whatever the name or its links contain."""
    if hand.files is None or hand.staging is None:
        raise ActionFailed(
            "NO_FILES", "this lease has no folder of files to upload; ask for one with LeaseRequest.files"
        )
    folder = hand.files.resolve()
    try:
        path = (folder / name).resolve()
        is_there = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError):  # a NUL, a name that is too long
        is_there = False
    if not is_there:
        raise ActionFailed("NO_SUCH_FILE", f"there is no file {name[:100]!r} in the lease's folder")
    return path


def _staged(paths: list[Path], staging: Path | None) -> list[str]:
    """Copies that Chromium, which runs as another user, can read."""
    assert staging is not None
    copies = []
    for path in paths:
        folder = Path(tempfile.mkdtemp(dir=staging))
        folder.chmod(0o711)
        copy = folder / path.name
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
        copies.append(str(copy))
    return copies
