"""The files that are kept of a session."""

from typing import Literal

from browser_service.models.wire import Wire

ArtifactKind = Literal["video", "trace", "download"]


class Artifact(Wire):
    """One file that was kept of a session."""

    id: str
    """Opaque name, under which it is fetched from `/sessions/{instance_id}/artifacts/{id}`."""
    kind: ArtifactKind
    name: str
    """What a person would call the file: a clean base name."""
    size: int
    """Bytes."""


class Artifacts(Wire):
    """What was kept of a session. Films and traces are complete once the lease is over."""

    artifacts: list[Artifact]
