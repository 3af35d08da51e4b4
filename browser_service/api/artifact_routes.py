"""The routes of a lease's artifact store: pictures by their hash, and recorded or downloaded files."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import FileResponse

from browser_service.artifacts.lease_artifacts import LeaseArtifacts
from browser_service.errors import BadRequest, NotKept
from browser_service.leasing.leases import lease_id_of
from browser_service.models import Artifacts
from browser_service.tiers.service import service_of

router = APIRouter(tags=["kept"])
BYTES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}, "description": "The file"}}
Token = Annotated[str | None, Header(alias="x-lease-token", description="Instead of `token` in the address")]
MEDIA_TYPES = {
    "video": "video/webm",
    "trace": "application/zip",
    "network": "application/x-ndjson",
    "console": "application/x-ndjson",
    "download": "application/octet-stream",
}


@router.get("/blob/{sha256}", response_class=Response, responses=BYTES)
async def blob(
    request: Request, sha256: str, instance_id: str, token: str | None = None, x_lease_token: Token = None
) -> FileResponse:
    """The bytes of a picture that an observation named, for the lease's holder, also for a while after its end."""
    found = _artifacts(request, instance_id, token or x_lease_token).find_blob(sha256)
    if found is None:
        raise NotKept(f"there is no picture {sha256[:80]} of this lease any more; look again")
    path, media_type = found
    return _file(path, media_type, {"cache-control": "private, immutable, max-age=86400"})


@router.get("/sessions/{instance_id}/artifacts")
async def artifacts(
    request: Request, instance_id: str, token: str | None = None, x_lease_token: Token = None
) -> Artifacts:
    """The artifacts that can be fetched now."""
    return Artifacts(artifacts=_artifacts(request, instance_id, token or x_lease_token).artifacts())


@router.get("/sessions/{instance_id}/artifacts/{artifact_id}", response_class=Response, responses=BYTES)
async def artifact(
    request: Request, instance_id: str, artifact_id: str, token: str | None = None, x_lease_token: Token = None
) -> FileResponse:
    """One file, as an attachment: a file from a website is never rendered as a page of this service."""
    found = _artifacts(request, instance_id, token or x_lease_token).find(artifact_id)
    if found is None:
        raise NotKept(f"there is no artifact {artifact_id[:80]} of this lease; the list names those that there are")
    path, kept = found
    return _file(path, MEDIA_TYPES[kept.kind], {}, name=kept.name)


def _artifacts(request: Request, instance_id: str, token: str | None) -> LeaseArtifacts:
    if not instance_id:
        raise BadRequest("say which lease: instance_id")
    return service_of(request).sessions.artifacts.find(lease_id_of(instance_id), token)


def _file(path: Path, media_type: str, headers: dict[str, str], *, name: str | None = None) -> FileResponse:
    if not path.is_file():
        raise NotKept("the file was removed a moment ago")
    safe = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox", **headers}
    return FileResponse(path, media_type=media_type, headers=safe, filename=name)
