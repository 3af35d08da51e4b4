"""What a server's weights must hash to, read from a checkpoint's safetensors without loading a tensor.

vLLM reports one sha256 per parameter, over its bytes. It keeps some of a checkpoint's tensors side by side in one
parameter (query, key and value; gate and up), so the expected digests include those joins. On a CPU it packs the matrices
of linear layers into another layout and leaves their parameters empty: those can't be compared, only scored.
"""

import hashlib
import json
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

OPAQUE = hashlib.sha256(b"").hexdigest()
"""Digest of a parameter whose bytes the server keeps elsewhere."""
JOINS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


def expected_digests(checkpoint: Path) -> set[str]:
    """sha256 of every tensor of a checkpoint directory, and of every join that vLLM makes of them.

    Format: https://huggingface.co/docs/safetensors, an 8-byte little-endian length, a JSON header, the bytes.
    """
    digests: set[str] = set()
    for path in sorted(checkpoint.glob("*.safetensors")):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            spans = dict(_spans(mapped))
            digests |= {_digest(mapped, [span]) for span in spans.values()}
            for first, *others in JOINS:
                for name in spans:
                    parts = [name.replace(first, other) for other in others]
                    if f".{first}." in name and all(part in spans for part in parts):
                        digests.add(_digest(mapped, [spans[name], *(spans[part] for part in parts)]))
    return digests


def _spans(mapped: mmap.mmap) -> Iterator[tuple[str, slice]]:
    (length,) = struct.unpack("<Q", mapped[:8])
    header = json.loads(mapped[8 : 8 + length])
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield name, slice(8 + length + begin, 8 + length + end)


def _digest(mapped: mmap.mmap, spans: list[slice]) -> str:
    sha256 = hashlib.sha256()
    for span in spans:
        sha256.update(mapped[span])
    return sha256.hexdigest()
