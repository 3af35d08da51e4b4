"""Playwright's driver: the one node process below this service that starts every Chromium. Its death ends them all."""

import asyncio
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Playwright, async_playwright

from browser_service.chromium.encoder import browsers_folder
from browser_service.chromium.launcher import LaunchError


class Driver:
    """A running driver. Its temporary folder, with the profiles of its browsers, is removed with it."""

    def __init__(self, playwright: Playwright, process: psutil.Process, folder: Path) -> None:
        self.playwright = playwright
        self._process = process
        self._folder = folder

    @classmethod
    async def start(cls, folder: Path, deadline_s: float) -> "Driver":
        """Starts a driver that keeps its files in the folder, which it makes. Raises `LaunchError`."""
        try:
            async with asyncio.timeout(deadline_s):
                playwright = await _started_in(folder)
        except Exception as error:  # Playwright raises a bare Exception when its driver dies early
            with suppress(LaunchError, psutil.Error):
                _started_with(folder).kill()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            why = f"no answer within {deadline_s:g} s" if isinstance(error, TimeoutError) else error
            raise LaunchError(f"Playwright's driver did not start: {why}") from error
        return cls(playwright, _started_with(folder), folder)

    @property
    def is_alive(self) -> bool:
        """True if the process lives. Playwright does not report its death."""
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async def stop(self, deadline_s: float) -> None:
        """Ends the driver, also a dead or hanging one, and removes its files."""
        with suppress(PlaywrightError, TimeoutError, OSError):
            async with asyncio.timeout(deadline_s):
                await self.playwright.stop()
        with suppress(psutil.Error):
            self._process.kill()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


async def _started_in(folder: Path) -> Playwright:
    await asyncio.to_thread(folder.mkdir, mode=0o711)
    with _inherited(TMPDIR=folder, PLAYWRIGHT_BROWSERS_PATH=await asyncio.to_thread(browsers_folder, folder)):
        return await async_playwright().start()


@contextmanager
def _inherited(**variables: Path | None) -> Generator[None, None, None]:
    """Sets variables for the driver, which makes profiles in TMPDIR: it can get them only from our own environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update({name: str(value) for name, value in variables.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _started_with(folder: Path) -> psutil.Process:
    """The driver process that was just started with this folder."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if child.environ().get("TMPDIR") == str(folder):
                return child
    raise LaunchError("Playwright's driver ended as soon as it was started")
