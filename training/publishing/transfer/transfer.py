"""The publisher's part of a transfer: runs the sender, a process of its own, and decides between all weights and a patch.

torch and the tensors stay out of the loop's process; a sender that hangs is killed, one whose publisher is killed dies with it, and a
server that lost it ends its update with an error. The publisher has marked and paused the server before, and proves its weights afterwards.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from training.checkpointing.weight_digests import same_layout
from training.errors import CheckpointError
from training.publishing.prepared_policy import Prepared, manifest_digest
from training.publishing.served_record import ServedRecord
from training.publishing.serving import PublishError
from training.publishing.vllm_server import import_paths, own_interface
from training.serving_config import ServingConfig

LONGEST_ERROR = 500
SENDERS_SHARE = 0.8
"""Part of a publish's deadline after which the sender gives up, so that its sentence is the one that people read."""


class Sent(BaseModel):
    """The sender's report."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tensors: int
    """Tensors that were sent, whole or in part."""
    bytes: int
    read_s: float
    send_s: float


class Base(NamedTuple):
    """The policy that a server holds. Example: `Base(Path("policies/v0002"), "9f86d081..")`."""

    checkpoint: Path
    name: str
    """Digest of its manifest."""


def base_of(config: ServingConfig, wanted: Prepared, holds: ServedRecord | None) -> Base | None:
    """The policy of which a patch can be sent; None: all weights are sent, or read from disk.

    `holds`: the policy that is proved to be on the server. A `gloo` server patches a copy of the weights that it was sent; a `nccl`
    server patches those that it computes with. The folder may have been made again since, or lack tensors that the new one has.
    """
    if not config.transfer_deltas or holds is None or (config.transfer == "gloo" and not holds.sent):
        return None
    try:
        is_same = manifest_digest(holds.checkpoint) == holds.manifest_sha256
        usable = is_same and same_layout(wanted.path, holds.checkpoint)
    except CheckpointError:  # it was pruned
        return None
    return Base(holds.checkpoint, holds.manifest_sha256) if usable else None


async def transfer(uds: Path, wanted: Prepared, config: ServingConfig, base: Base | None) -> Sent:
    """Sends a policy to the server on a socket. Raises `PublishError` with the sender's sentence when it fails."""
    command = [
        *(sys.executable, "-m", "training.publishing.transfer.send", "--uds", str(uds), "--way", config.transfer),
        *("--checkpoint", str(wanted.path), "--version", wanted.manifest_sha256),
        *("--address", str(config.transfer_address), "--deadline", str(SENDERS_SHARE * config.publish_deadline_s)),
        *("--parent", str(os.getpid())),
        *(("--keep",) if config.transfer_deltas else ()),
        *(("--base", str(base.checkpoint), "--held", base.name) if base else ()),
    ]
    paths = {"PYTHONPATH": import_paths(os.environ.get("PYTHONPATH", ""))}
    environment = {**os.environ, **paths, **own_interface(config)}
    pipe = asyncio.subprocess.PIPE
    sender = await asyncio.create_subprocess_exec(*command, env=environment, stdout=pipe, stderr=pipe)
    try:
        out, errors = await sender.communicate()
    finally:
        if sender.returncode is None:
            sender.kill()
            await sender.wait()
    try:
        return Sent.model_validate_json(out)
    except ValidationError:
        lines = errors.decode(errors="replace").strip().splitlines()
        why = lines[-1].removeprefix("send: ") if lines else f"the sender ended with status {sender.returncode}"
        raise PublishError(f"the weights could not be sent: {why[:LONGEST_ERROR]}") from None
