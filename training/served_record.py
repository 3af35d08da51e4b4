"""`vllm.served.json` beside the server's socket: the policy that was proved last, to go back to when the next one fails."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.store import write_atomically


class ServedRecord(BaseModel):
    """A policy that was proved to be served. Example: `ServedRecord(model="policy-7f3a", version="demo:3", ...)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    """Name of the server process that held it; a process that was started later knows nothing of it."""
    version: str
    checkpoint: Path
    manifest_sha256: str
    """Digest of the checkpoint's manifest: tells it from another one that has its place and name."""
    pictures: Path
    """Folder of trajectories that has the pictures of its canaries."""
    digests: dict[str, str]
    """The server's digest of each of its parameters."""


def record_file(uds: Path) -> Path:
    """Where the record of the server on a socket is."""
    return uds.with_suffix(".served.json")


def read_record(uds: Path) -> ServedRecord | None:
    """The record of the server on a socket; None when there is none, or it can't be read: then nothing is known."""
    try:
        return ServedRecord.model_validate_json(record_file(uds).read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(uds: Path, record: ServedRecord) -> None:
    """Replaces the record."""
    write_atomically(record_file(uds), record.model_dump_json().encode())
