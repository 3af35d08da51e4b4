"""The stored artifacts of a session."""

from typing import Literal

from browser_service.models.wire import Wire

ArtifactKind = Literal["video", "trace", "network", "console", "download"]


class Artifact(Wire):
    """One stored file of a session."""

    id: str
    """Opaque id, by which it is fetched from `/sessions/{instance_id}/artifacts/{id}`."""
    kind: ArtifactKind
    name: str
    """File name for people: a clean base name."""
    size: int
    """Bytes."""


class Artifacts(Wire):
    """The stored artifacts of a session. Recordings are complete once the lease is over."""

    artifacts: list[Artifact]
