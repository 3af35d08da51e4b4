"""Files of episodes beside their databases: each has a folder, a copy of the one that the seed filled.

Example: mailboxes. The folder has the name of the episode's database, so a server finds it by the request's host name.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from environments.applications.hosted.recipe import GOLDEN
from environments.base import EnvironmentBroken
from environments.providers.owners import Owner
from environments.providers.postgres.programs import hand_over
from environments.providers.postgres.state import Rows
from environments.providers.process.server import FOLDER
from environments.providers.scratch import scratch_folder


@dataclass(frozen=True, kw_only=True)
class Files:
    """State that an application keeps in files. Example: `Files(read=mailboxes, linked="*/cur/*")`."""

    read: Callable[[Path], Mapping[str, Rows]]
    """Rows by table and key of an episode's folder. Tables have other names than those of the database."""
    linked: str = ""
    """Pattern of paths that the application never writes in place: a clone has hard links instead of copies."""


class Folders:
    """Folders of the episodes, in a scratch folder that is removed at the end.

    For root they belong to the user that Postgres runs as: some servers refuse to work for root.
    """

    def __init__(self, files: Files, template: Path) -> None:
        """`template`: the folder that the seed filled."""
        self._files, self._template = files, template
        self._folder: Path | None = None
        self._start: Mapping[str, Rows] = {}

    async def __aenter__(self) -> Self:
        """Copies the template and reads it. Raises `EnvironmentBroken`."""
        self._folder = scratch_folder(f"{FOLDER}{Owner.of_this_process()}-")
        try:
            await asyncio.to_thread(self._lay_out)
            self._start = await self.rows(GOLDEN)
        except BaseException:
            await asyncio.shield(self.__aexit__())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """The folder with the episodes' folders. Raises `EnvironmentBroken` before it is made."""
        if self._folder is None:
            raise EnvironmentBroken(
                "the folder of the episodes' files is gone; enter `Folders` with `async with` first"
            )
        return self._folder

    @property
    def start(self) -> Mapping[str, Rows]:
        """Rows of the start state."""
        return self._start

    async def make(self, name: str) -> None:
        """Makes the folder of an episode. Raises `EnvironmentBroken`."""
        try:
            await asyncio.to_thread(self._clone, self.folder / GOLDEN, self.folder / name)
        except OSError as error:
            raise EnvironmentBroken(f"the files of the episode {name} can't be made: {error}") from error

    async def drop(self, name: str) -> None:
        """Removes the folder of an episode; none is needed."""
        with suppress(EnvironmentBroken):
            await asyncio.to_thread(shutil.rmtree, self.folder / name, ignore_errors=True)

    async def rows(self, name: str) -> Mapping[str, Rows]:
        """Rows of an episode's folder. Raises `EnvironmentBroken`."""
        try:
            rows = await asyncio.to_thread(self._files.read, self.folder / name)
        except OSError as error:
            raise EnvironmentBroken(f"the files of the episode {name} can't be read: {error}") from error
        # The rows of a table that is gone are gone, each of them.
        return {table: {} for table in self._start} | dict(rows)

    def _lay_out(self) -> None:
        try:
            shutil.copytree(self._template, self.folder / GOLDEN)
            hand_over(self.folder)
        except OSError as error:
            raise EnvironmentBroken(f"the files in {self._template} can't be copied: {error}") from error

    def _clone(self, source: Path, target: Path) -> None:
        """Copies a folder: hard links of the files that are never written in place, copies of all others."""
        target.mkdir(mode=0o700)
        owned = [target]
        with os.scandir(source) as entries:
            for entry in entries:
                wanted = target / entry.name
                if entry.is_dir(follow_symlinks=False):
                    self._clone(Path(entry.path), wanted)
                elif self._files.linked and fnmatchcase(entry.path, self._files.linked):
                    os.link(entry.path, wanted)
                else:
                    shutil.copy2(entry.path, wanted)
                    owned.append(wanted)
        if os.geteuid() == 0:
            owner = source.stat()
            for path in owned:
                os.chown(path, owner.st_uid, owner.st_gid)
