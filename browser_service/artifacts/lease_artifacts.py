"""The artifact store of a lease: pictures by reference, downloads, a video, a trace. It outlives the lease for a while.

ArtifactStore (one per process) ── LeaseArtifacts (one per lease): a folder of files with opaque names, and the readable hashes
"""

import logging
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from browser_service.artifacts.blobs import BlobStore
from browser_service.errors import LeaseNotFound
from browser_service.leasing.ended import Holder
from browser_service.models import Artifact, ArtifactKind
from browser_service.settings import Settings

log = logging.getLogger(__name__)
LONGEST_NAME = 120


@dataclass(slots=True)
class LeaseArtifacts:
    """The stored artifacts of one lease. Its folder is made with the first file."""

    holder: Holder
    folder: Path
    _blobs: BlobStore
    _hashes: set[str] = field(default_factory=set)
    _files: dict[str, Path] = field(default_factory=dict)
    """Downloads by hash."""
    _artifacts: dict[str, Artifact] = field(default_factory=dict)
    gone_at: float | None = None
    """Time of removal; None while the lease lives."""

    def put_blob(self, sha256: str, content: bytes, media_type: str) -> None:
        """Stores a picture that this lease may fetch."""
        self._hashes.add(sha256)
        self._blobs.put(sha256, content, media_type)

    def find_blob(self, sha256: str) -> tuple[Path, str] | None:
        """File and media type of a picture or download of this lease, if it is still stored."""
        if sha256 in self._files:
            return self._files[sha256], "application/octet-stream"
        return self._blobs.find(sha256) if sha256 in self._hashes else None

    def new_file(self) -> Path:
        """A path for a new file."""
        self.folder.mkdir(mode=0o711, exist_ok=True)
        return self.folder / secrets.token_hex(8)

    def add(self, file: Path, kind: ArtifactKind, name: str, sha256: str | None = None) -> None:
        """Lists a complete file from `new_file` as an artifact; also by its hash, if that is given."""
        self._artifacts[file.name] = Artifact(id=file.name, kind=kind, name=name, size=file.stat().st_size)
        if sha256:
            self._files[sha256] = file

    def artifacts(self) -> list[Artifact]:
        """The artifacts, oldest first."""
        return list(self._artifacts.values())

    def find(self, artifact_id: str) -> tuple[Path, Artifact] | None:
        """The file of an artifact. Only ids that were issued are found."""
        artifact = self._artifacts.get(artifact_id)
        return (self.folder / artifact.id, artifact) if artifact else None

    @property
    def staging(self) -> Path:
        """Folder for copies that Chromium, which runs as another user, reads."""
        self.folder.mkdir(mode=0o711, exist_ok=True)
        folder = self.folder / "uploads"
        folder.mkdir(mode=0o711, exist_ok=True)
        return folder


class ArtifactStore:
    """The artifact stores of all live and recently ended leases of this process."""

    def __init__(self, folder: Path, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """`folder` is made; the owner of its parent folder removes it when the service stops."""
        self._folder = folder
        self._retention_s = settings.artifact_retention_s
        self._clock = clock
        self._shelves: dict[str, LeaseArtifacts] = {}
        blobs = folder / "blobs"
        blobs.mkdir(mode=0o711, parents=True)
        folder.chmod(0o711)
        self._blobs = BlobStore(blobs, settings.blob_budget_bytes)

    def open(self, holder: Holder) -> LeaseArtifacts:
        """Opens the artifact store of a new lease."""
        self.sweep()
        kept = self._shelves[holder.lease_id] = LeaseArtifacts(holder, self._folder / secrets.token_hex(8), self._blobs)
        return kept

    def close(self, lease_id: str) -> None:
        """Marks a lease as over: its artifacts stay for the retention time."""
        if kept := self._shelves.get(lease_id):
            kept.gone_at = self._clock() + self._retention_s
        self.sweep()

    def find(self, lease_id: str, token: str | None) -> LeaseArtifacts:
        """The artifact store that this caller may read. Raises `LeaseNotFound`, `LeaseMismatch`."""
        self.sweep()
        if (kept := self._shelves.get(lease_id)) is None:
            raise LeaseNotFound(f"instance not found: nothing is kept of a lease {lease_id[:80]}")
        kept.holder.check(token)
        return kept

    def sweep(self) -> None:
        """Removes the artifacts whose retention time has passed."""
        now = self._clock()
        for lease_id, kept in list(self._shelves.items()):
            if kept.gone_at is not None and now >= kept.gone_at:
                del self._shelves[lease_id]
                shutil.rmtree(kept.folder, ignore_errors=True)


def clean_name(said: str, taken: set[str]) -> str:
    """A base name that is safe on every system, from a page's file name; not yet in `taken`.

    Example: `clean_name("../../x\\0.txt", set()) == "x_.txt"`.
    """
    base = re.split(r"[/\\]", said)[-1]
    base = re.sub(r"[^\w.,+() -]", "_", base).strip(" .") or "file"
    stem, dot, ending = base.rpartition(".")
    if not dot or len(ending) > 15:
        stem, ending = base, ""
    room = LONGEST_NAME - len(ending) - 6
    stem, ending = stem[:room] or "file", f".{ending}" if ending else ""
    name, count = f"{stem}{ending}", 1
    while name in taken:
        count += 1
        name = f"{stem}-{count}{ending}"
    return name
