"""Expected digests of a server's weights, read from a checkpoint's safetensors without loading a model.

vLLM reports one sha256 per parameter, over its bytes. It keeps some of a checkpoint's tensors side by side in one
parameter (query, key and value; gate and up), so the expected digests include those joins. On a CPU it packs the matrices
of linear layers into another layout and leaves their parameters empty: those can't be compared, only scored.

Files are read and not mapped: truncating a mapped file would kill the process.
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from training.errors import CheckpointError

OPAQUE = hashlib.sha256(b"").hexdigest()
"""Digest of a parameter whose bytes the server keeps elsewhere."""
JOINS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
LONGEST_HEADER = 100_000_000
"""Largest header in bytes; the safetensors library has the same limit."""
CHUNK = 16 * 2**20
"""Bytes that are read at once; a multiple of every element's size."""

Shapes = dict[str, tuple[int, ...]]


class Weights(NamedTuple):
    """Digests and shapes of the tensors of a checkpoint."""

    digests: frozenset[str]
    """sha256 of every tensor, and of every join that vLLM makes of them."""
    shapes: Shapes
    """Shape of each tensor, by name."""


class _Span(NamedTuple):
    """Position of a tensor in its file."""

    path: Path
    begin: int
    end: int
    dtype: str
    shape: tuple[int, ...]


def read_weights(checkpoint: Path) -> Weights:
    """Hashes every tensor of a checkpoint directory, alone and in its join; takes a second per 2 GB.

    Raises `CheckpointError` when a file is damaged, and when a tensor has a value that is not finite.
    """
    spans = _spans_of(checkpoint)
    digests = {_checked_digest(name, span) for name, span in spans.items()}
    for first, *others in JOINS:
        for name in spans:
            parts = [name.replace(f".{first}.", f".{other}.") for other in others]
            if f".{first}." in name and all(part in spans for part in parts):
                digests.add(_digest([spans[name], *(spans[part] for part in parts)]))
    return Weights(frozenset(digests), {name: span.shape for name, span in spans.items()})


def read_shapes(checkpoint: Path) -> Shapes:
    """The tensors' shapes, from the headers alone. Raises `CheckpointError` when a file is damaged."""
    return {name: span.shape for name, span in _spans_of(checkpoint).items()}


def same_layout(one: Path, other: Path) -> bool:
    """True if two checkpoints have the same tensors with the same shapes and types, by their headers. Raises `CheckpointError`."""
    mine, theirs = ({name: (span.shape, span.dtype) for name, span in _spans_of(each).items()} for each in (one, other))
    return mine == theirs


def _spans_of(checkpoint: Path) -> dict[str, _Span]:
    """The tensors of all weight files together: parts of a join may be in different files."""
    spans: dict[str, _Span] = {}
    for path in sorted(checkpoint.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                spans |= _header(path, file)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
            raise CheckpointError(
                f"{path} is no complete safetensors file ({error}); make {checkpoint} again"
            ) from error
    return spans


def _header(path: Path, file: BinaryIO) -> dict[str, _Span]:
    """Reads a header: 8-byte little-endian length, JSON, then bytes (https://huggingface.co/docs/safetensors)."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_HEADER:
        raise ValueError(f"its header claims {length} bytes")
    header = json.loads(file.read(length))
    size = path.stat().st_size
    spans: dict[str, _Span] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + int(offset) for offset in entry["data_offsets"])
            if not 8 + length <= begin <= end <= size:
                raise ValueError(f"{name} lies outside of its {size} bytes")
            spans[name] = _Span(path, begin, end, entry["dtype"], tuple(int(side) for side in entry["shape"]))
    return spans


def _checked_digest(name: str, span: _Span) -> str:
    sha256 = hashlib.sha256()
    for chunk in _chunks(span):
        if not _all_finite(chunk, span.dtype):
            raise CheckpointError(f"{span.path}: {name} has a value that is not finite; such a policy is never served")
        sha256.update(chunk)
    return sha256.hexdigest()


def _digest(spans: list[_Span]) -> str:
    sha256 = hashlib.sha256()
    for span in spans:
        for chunk in _chunks(span):
            sha256.update(chunk)
    return sha256.hexdigest()


def _chunks(span: _Span) -> Iterator[bytes]:
    with span.path.open("rb") as file:
        file.seek(span.begin)
        for place in range(span.begin, span.end, CHUNK):
            wanted = min(CHUNK, span.end - place)
            chunk = file.read(wanted)
            if len(chunk) != wanted:
                raise CheckpointError(f"{span.path} was cut while it was read; make the checkpoint again")
            yield chunk


def _all_finite(chunk: bytes, dtype: str) -> bool:
    """True if no element is NaN or infinite; always True for dtypes that policies are not trained in."""
    match dtype:
        case "F32" | "F64" | "F16":
            # The sum is finite only if every element is; it needs no boolean array.
            values = np.frombuffer(chunk, dtype=f"<f{int(dtype[1:]) // 8}")
            with np.errstate(over="ignore", invalid="ignore"):
                return math.isfinite(float(values.sum(dtype=np.float64))) or bool(np.isfinite(values).all())
        case "BF16":
            return bool(((np.frombuffer(chunk, dtype="<u2") & 0x7F80) != 0x7F80).all())
        case _:
            return True
