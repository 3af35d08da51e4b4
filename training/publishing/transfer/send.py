"""`python -m training.publishing.transfer.send --uds SOCKET --checkpoint DIR ..`: sends the weights of a checkpoint to a vLLM server.

The server is paused and marked by the publisher (`training.publishing.publish`), which also proves what it holds afterwards; this
process only has the tensors. It prints a JSON line: tensors, bytes, seconds. Errors are the last line of its output.
"""

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

from training.dying import die_with
from training.errors import CheckpointError
from training.publishing.transfer.control import Control
from training.publishing.transfer.gloo import GlooSender
from training.publishing.transfer.patches import changed, whole

WHERE = re.compile(r"^\[[^\]]*\] ")
"""The place in torch's source with which its errors begin."""


class Sending(NamedTuple):
    """Arguments of one transfer. Example: `Sending("gloo", Path("policies/v0003"), Path("policies/v0002"), ..)`."""

    way: str
    checkpoint: Path
    base: Path | None
    """Checkpoint that the server holds, for a patch of it."""
    held: str
    """Name of the weights that the server holds; empty: all is sent."""
    version: str
    """Name of the new ones."""
    address: str
    """Address of this machine that the server reaches."""
    deadline_s: float
    keep: bool = False
    """True if a later transfer may be a patch, for which the server keeps a copy."""


def send(control: Control, sending: Sending) -> dict[str, float]:
    """Sends the weights; returns tensors, bytes and seconds. Raises `TransferError`, RuntimeError and `CheckpointError`."""
    began = time.monotonic()
    base = sending.base if sending.held else None
    patches = changed(sending.checkpoint, base) if base else whole(sending.checkpoint)
    read = time.monotonic()
    if sending.way == "gloo":
        sender = GlooSender(control, sending.address, base=sending.held, timeout_s=sending.deadline_s)
        sender.send(patches, version=sending.version if sending.keep else "")
    else:
        from training.publishing.transfer.nccl import send_patches, send_whole  # takes seconds, and vLLM for GPUs

        (send_patches if base else send_whole)(control, patches, sending.address)
    control.shutdown_weight_transfer_engine()
    sent = sum(patch.bytes for _, patch in patches)
    return {"tensors": len(patches), "bytes": sent, "read_s": read - began, "send_s": time.monotonic() - read}


def main() -> None:
    """Parses the command line and sends."""
    parser = argparse.ArgumentParser(
        prog="python -m training.publishing.transfer.send", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--uds", type=Path, required=True, help="UNIX socket of the server, or of a door to it")
    parser.add_argument("--way", choices=("gloo", "nccl"), required=True, help="transport of the tensors")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the version to send")
    parser.add_argument("--version", required=True, help="name of its weights")
    parser.add_argument("--base", type=Path, help="the version that the server holds: only what differs is sent")
    parser.add_argument("--held", default="", help="name of the weights that the server holds")
    parser.add_argument("--address", default="127.0.0.1", help="address of this machine that the server reaches")
    parser.add_argument("--deadline", type=float, default=300.0, help="seconds for each call and each tensor")
    parser.add_argument("--keep", action="store_true", help="have the server keep a copy, for later patches")
    parser.add_argument("--parent", type=int, help="process to die with")
    given = parser.parse_args()
    if given.parent:  # one that goes on after its publisher was killed would replace weights that are proved since
        die_with(given.parent)
    sending = Sending(
        way=given.way,
        checkpoint=given.checkpoint,
        base=given.base,
        held=given.held,
        version=given.version,
        address=given.address,
        deadline_s=given.deadline,
        keep=given.keep,
    )
    try:
        report = send(Control(given.uds, given.deadline), sending)
    except (CheckpointError, RuntimeError, ValueError, OSError) as error:
        words = WHERE.sub("", str(error)).strip().splitlines() or [repr(error)]
        sys.stderr.write(f"send: {words[0]}\n")
        sys.stderr.flush()
        os._exit(1)  # a thread may still wait for the server
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
