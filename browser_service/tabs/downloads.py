"""Downloads of pages: stored for the lease within a quota, or refused; they never delay a step."""

import asyncio
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Download as Arriving
from playwright.async_api import Error as PlaywrightError

from browser_service import models
from browser_service.artifacts.lease_artifacts import LeaseArtifacts, clean_name
from browser_service.background import Background

GLANCE_S = 0.1


@dataclass(frozen=True)
class Quota:
    """Limits of one lease's downloads."""

    file_bytes: int
    lease_bytes: int
    files: int


class Downloads:
    """The downloads of one session."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._background = Background(PlaywrightError)
        self.begin(None)

    def begin(self, kept: LeaseArtifacts | None) -> None:
        """Starts a lease without downloads so far. They are stored on this kept; without one they are refused."""
        self._artifacts = kept
        self._used = 0
        self._names: set[str] = set()
        self._ended: list[models.Download] = []
        self._received: dict[str, int] = {}
        """Bytes of the unfinished downloads, by URL."""
        self._addresses: dict[str, str] = {}

    def take(self) -> list[models.Download]:
        """Downloads that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def announced(self, event: dict[str, Any]) -> None:
        """CDP's Page.downloadWillBegin."""
        self._addresses[event["guid"]] = event["url"]

    def progressed(self, event: dict[str, Any]) -> None:
        """CDP's Page.downloadProgress."""
        if url := self._addresses.get(event["guid"]):
            self._received[url] = max(int(event["receivedBytes"]), int(event["totalBytes"]))

    def arriving(self, download: Arriving) -> None:
        """Listener of a page's event `download`."""
        self._background.start(self._keep(download))

    async def stop(self) -> None:
        """Cancels unfinished downloads, because each keeps its context open. Later ones are refused."""
        self._artifacts = None
        await self._background.cancel()

    async def _keep(self, download: Arriving) -> None:
        name = clean_name(download.suggested_filename, self._names)
        self._names.add(name)
        if self._artifacts is None:
            refused: str | None = "downloads are refused: the lease did not ask for them"
        elif len(self._names) > self._quota.files:
            refused = f"a lease may download {self._quota.files} files at most"
        else:
            refused = await self._arrive(download)
        if refused or self._artifacts is None:
            await download.cancel()
            self._ended.append(models.Download(name=name, size=0, sha256="", error=refused))
            return
        file = self._artifacts.new_file()
        sha256 = await asyncio.to_thread(_moved, await download.path(), file)
        self._artifacts.add(file, "download", name, sha256)
        self._ended.append(models.Download(name=name, size=file.stat().st_size, sha256=sha256))

    async def _arrive(self, download: Arriving) -> str | None:
        """Waits for the file; returns the reason if there is none."""
        arrival = asyncio.ensure_future(download.path())
        try:
            while not (await asyncio.wait({arrival}, timeout=GLANCE_S))[0]:
                if why := self._excess(self._received.get(download.url, 0)):
                    return why
            size = (await asyncio.to_thread(Path(arrival.result()).stat)).st_size
        except (PlaywrightError, OSError):
            return f"the download broke off: {await download.failure() or 'the file is gone'}"
        finally:
            arrival.cancel()
        if why := self._excess(size):
            return why
        self._used += size
        return None

    def _excess(self, size: int) -> str | None:
        if size > self._quota.file_bytes:
            return f"the file is larger than {self._quota.file_bytes} bytes"
        if self._used + size > self._quota.lease_bytes:
            return f"the files of this lease are larger than {self._quota.lease_bytes} bytes"
        return None


def _moved(arrived: Path, file: Path) -> str:
    """Moves the file out of the browser's folder; returns its SHA-256."""
    shutil.copyfile(arrived, file)
    Path(arrived).unlink(missing_ok=True)
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
