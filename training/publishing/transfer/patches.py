"""The difference between two checkpoints, tensor by tensor: elements that changed, or the whole tensor where that is less to send.

Compared as bits: a patched tensor is the new one byte for byte, which the digests of a publish then prove.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from training.errors import CheckpointError

INDEX_BYTES = 4
MOST_ELEMENTS = 2**31
"""Elements of a tensor that an index of 32 bits can name."""
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Patch(NamedTuple):
    """The change of a tensor, or all of it. Example: `Patch(torch.tensor([1.5]), torch.tensor([7], dtype=torch.int32), (2, 8))`."""

    values: torch.Tensor
    """The whole tensor, or the new values at `indices`."""
    indices: torch.Tensor | None
    """Flat places of the elements that changed, int32; None: the tensor is whole."""
    shape: tuple[int, ...]
    """Shape of the whole tensor."""

    @property
    def bytes(self) -> int:
        """Bytes to send."""
        indices = 0 if self.indices is None else self.indices.numel() * INDEX_BYTES
        return self.values.numel() * self.values.element_size() + indices

    def onto(self, tensor: torch.Tensor | None) -> torch.Tensor:
        """The tensor with the patch; changes `tensor`. Raises ValueError if there is none to change."""
        if self.indices is None:
            return self.values
        if tensor is None:
            raise ValueError("a patch of a tensor that is not held")
        tensor.view(-1)[self.indices.long()] = self.values
        return tensor


def whole(checkpoint: Path) -> list[tuple[str, Patch]]:
    """Every tensor of a checkpoint, in the order of their names. Raises `CheckpointError`."""
    return [(name, Patch(tensor, None, tuple(tensor.shape))) for name, tensor in _tensors(checkpoint)]


def changed(checkpoint: Path, base: Path) -> list[tuple[str, Patch]]:
    """The patches that turn the tensors of `base` into those of `checkpoint`; equal tensors have none. Raises `CheckpointError`."""
    before = dict(_tensors(base))
    found: list[tuple[str, Patch]] = []
    for name, tensor in _tensors(checkpoint):
        old = before.pop(name, None)
        if old is None or (old.shape, old.dtype) != (tensor.shape, tensor.dtype):
            raise CheckpointError(f"{base} has no {name} of the shape and type that {checkpoint} has")
        patch = _patch(tensor, old)
        if patch.values.numel():
            found.append((name, patch))
    if before:
        raise CheckpointError(f"{checkpoint} lacks {sorted(before)[0]}, which {base} has")
    return found


def _patch(new: torch.Tensor, old: torch.Tensor) -> Patch:
    bits, shape = BITS[new.element_size()], tuple(new.shape)
    flat = new.view(-1)
    differs = flat.view(bits) != old.view(-1).view(bits)
    count = int(differs.sum())
    each = INDEX_BYTES + new.element_size()
    if count and (count * each >= new.numel() * new.element_size() or new.numel() >= MOST_ELEMENTS):
        return Patch(new, None, shape)
    indices = differs.nonzero().view(-1)
    return Patch(flat[indices], indices.to(torch.int32), shape)


def _tensors(checkpoint: Path) -> Iterator[tuple[str, torch.Tensor]]:
    files = sorted(checkpoint.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{checkpoint} has no weights")
    for path in files:
        try:
            with safe_open(path, framework="pt") as opened:
                for name in sorted(opened.keys()):
                    yield name, opened.get_tensor(name).contiguous()
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} can't be read: {error}") from error
