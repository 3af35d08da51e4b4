"""`vllm.served.json` beside the server's socket: the last proved policy, for a rollback when the next one fails."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically


class ServedRecord(BaseModel):
    """A policy that was proved to be served. Example: `ServedRecord(model="policy-7f3a", version="demo:3", ...)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    """Model name of the server process that served it; a process that was started later has another name."""
    version: str
    checkpoint: Path
    manifest_sha256: str
    """Digest of the checkpoint's manifest: distinguishes it from another checkpoint with the same path and name."""
    pictures: Path
    """Folder of trajectories with the pictures of its canaries."""
    digests: dict[str, str]
    """The server's digest of each of its parameters."""
    sent: bool = False
    """True if the server was sent the weights and keeps a copy that can be patched (`serving.transfer_deltas`)."""
    adapter: str | None = None
    """Name under which the version's adapter is loaded; None: the weights themselves are the version's."""


def record_file(uds: Path) -> Path:
    """Path of the record of the server on a socket."""
    return uds.with_suffix(".served.json")


def read_record(uds: Path) -> ServedRecord | None:
    """Reads the record of the server on a socket; None when it is missing or can't be read."""
    try:
        return ServedRecord.model_validate_json(record_file(uds).read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(uds: Path, record: ServedRecord) -> None:
    """Replaces the record atomically."""
    write_atomically(record_file(uds), record.model_dump_json().encode())
