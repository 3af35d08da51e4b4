"""Reads safetensors files in chunks, without torch: names and sizes of tensors, and the first that is not finite.

Format: https://huggingface.co/docs/safetensors, an 8-byte little-endian length, a JSON header, the bytes.
"""

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from training.errors import CheckpointError

CHUNK_BYTES = 1 << 23
"""Bytes read at once. Files are not mapped: mapped pages would count as the update's memory."""
_EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "C64": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("<u1", 0x7C),
    "F8_E4M3": ("<u1", 0x7F),
}
"""Integer type and bits of a floating-point number that are all set exactly in NaN and the infinities."""


class TensorEntry(NamedTuple):
    """One tensor as the header describes it. Example: `TensorEntry("lm_head.weight", "BF16", (320, 48), 4096, 34816)`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Offset in the file."""
    end: int

    @property
    def values(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def entries(path: Path) -> list[TensorEntry]:
    """The tensors of a file. Raises CheckpointError when it is damaged."""
    try:
        with safe_open(path, framework="np"):
            pass  # opening checks the header against the file's length
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); fetch or make it again") from error
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    start = 8 + length
    return [
        TensorEntry(name, one["dtype"], tuple(one["shape"]), *(start + offset for offset in one["data_offsets"]))
        for name, one in header.items()
        if name != "__metadata__"
    ]


def first_not_finite(path: Path) -> str | None:
    """Name of the first tensor that holds NaN or an infinity; None when all are finite. Raises CheckpointError."""
    found = entries(path)
    with path.open("rb") as file:
        return next((entry.name for entry in found if not _is_finite(file, entry)), None)


def _is_finite(file: BinaryIO, entry: TensorEntry) -> bool:
    if entry.dtype not in _EXPONENTS:  # integers and booleans
        return True
    kind, exponent = _EXPONENTS[entry.dtype]
    return all((chunk.view(kind) & exponent != exponent).all() for chunk in _chunks(file, entry))


def _chunks(file: BinaryIO, entry: TensorEntry) -> Iterator[np.ndarray]:
    file.seek(entry.begin)
    left = entry.end - entry.begin
    while left:
        data = file.read(min(left, CHUNK_BYTES))
        if not data:
            return
        left -= len(data)
        yield np.frombuffer(data, dtype=np.uint8)
