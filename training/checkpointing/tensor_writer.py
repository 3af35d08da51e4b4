"""Writes a safetensors file tensor by tensor, so that memory is needed for one of them; safetensors' own writer wants all at once.

The file is byte for byte the one that safetensors writes: by dtype (the larger ones first) and name, without gaps.
Format: https://huggingface.co/docs/safetensors.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_BYTES = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1},
    **{"I16": 2, "F16": 2, "BF16": 2, "I32": 4, "F32": 4, "F64": 8, "I64": 8},
}
"""Bytes of each dtype, in the order of safetensors, which writes the last ones first."""
_RANKS = {dtype: rank for rank, dtype in enumerate(_BYTES)}
_ALIGNMENT = 8


class Described(NamedTuple):
    """Type and shape of a tensor. Example: `Described("BF16", (320, 48))`."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * _BYTES[self.dtype]


class TensorWriter:
    """An open file. Its tensors are written in the order of `names`:

    with TensorWriter(path, {"a": Described("F32", (2, 3))}) as file:
        for name in file.names:
            file.write(name, bytes_of(name))
    """

    def __init__(self, path: Path, tensors: Mapping[str, Described], metadata: Mapping[str, str] | None = None) -> None:
        self.names = order(tensors)
        self._tensors, self._left = tensors, list(self.names)
        self._file = path.open("wb")
        self._file.write(_header(self.names, tensors, metadata or {}))

    def write(self, name: str, data: memoryview | bytes) -> None:
        """Appends the next tensor. Raises ValueError for another name than the next one, or another number of bytes."""
        if not self._left or name != self._left[0]:
            raise ValueError(f"expected the tensor {self._left[0] if self._left else 'none'}, found {name}")
        if len(data) != self._tensors[name].size:
            raise ValueError(f"expected {self._tensors[name].size} bytes of {name}, found {len(data)}")
        self._file.write(data)
        del self._left[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._left:
            raise ValueError(f"the tensor {self._left[0]} was not written ({len(self._left)} in all)")


def order(tensors: Mapping[str, Described]) -> list[str]:
    """Names in the order in which safetensors writes them."""
    return sorted(tensors, key=lambda name: (-_RANKS[tensors[name].dtype], name))


def _header(names: list[str], tensors: Mapping[str, Described], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for name in names:
        end = begin + tensors[name].size
        header[name] = {"dtype": tensors[name].dtype, "shape": tensors[name].shape, "data_offsets": (begin, end)}
        begin = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text
