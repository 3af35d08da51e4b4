"""Pictures by content hash: a file per SHA-256, the least recently used ones removed when the budget is full."""

from collections import OrderedDict
from pathlib import Path


class BlobStore:
    """Bytes by hash, within a budget. Removed bytes are not found: the client observes again."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self._budget = budget_bytes
        self._used = 0
        self._known: OrderedDict[str, tuple[int, str]] = OrderedDict()
        """Size and media type by hash, the least recently used first."""

    def put(self, sha256: str, content: bytes, media_type: str) -> None:
        """Stores the bytes, if they fit into the budget at all."""
        if sha256 in self._known:
            self._known.move_to_end(sha256)
            return
        if len(content) > self._budget:
            return
        while self._used + len(content) > self._budget:
            self._drop(next(iter(self._known)))
        partial = self._folder / f"{sha256}.partial"
        partial.write_bytes(content)
        partial.replace(self._folder / sha256)
        self._known[sha256] = (len(content), media_type)
        self._used += len(content)

    def find(self, sha256: str) -> tuple[Path, str] | None:
        """File and media type, if it is still stored."""
        if sha256 not in self._known:
            return None
        self._known.move_to_end(sha256)
        return self._folder / sha256, self._known[sha256][1]

    def _drop(self, sha256: str) -> None:
        size, _ = self._known.pop(sha256)
        self._used -= size
        (self._folder / sha256).unlink(missing_ok=True)
