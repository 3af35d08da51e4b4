"""Pictures of stored prompts, by content hash, from one or several stage folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from storage.store import TrajectoryStore


class Pictures(Protocol):
    """A source of pictures; `TrajectoryStore` is one."""

    def image(self, sha256: str) -> bytes:
        """A picture's bytes. Raises `CorruptTrajectory` if damaged, FileNotFoundError if missing."""
        ...

    def image_path(self, sha256: str) -> Path:
        """The path of the picture, whether it exists or not."""
        ...


class JoinedPictures:
    """The pictures of several stage folders; a missing one is looked for where the first folder would have it."""

    def __init__(self, stores: Sequence[TrajectoryStore]) -> None:
        self._stores = stores

    def image(self, sha256: str) -> bytes:
        """A picture's bytes. Raises `CorruptTrajectory` if damaged, FileNotFoundError if missing."""
        return self._with(sha256).image(sha256)

    def image_path(self, sha256: str) -> Path:
        """The path of the picture, whether it exists or not."""
        return self._with(sha256).image_path(sha256)

    def bring_home(self, sha256: str) -> None:
        """Links a picture into the first folder, where a publisher looks for the pictures of canaries."""
        self._stores[0].link_image(self._with(sha256), sha256)

    def _with(self, sha256: str) -> TrajectoryStore:
        return next((store for store in self._stores if store.has_image(sha256)), self._stores[0])
