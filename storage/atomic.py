"""Writes files so that a reader, or a restart after a crash, sees all of the new content or the old one."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replaces a file by `data`. `durable`: also across a power failure, which costs an fsync."""
    with replacing(path, durable=durable) as partial:
        partial.write_bytes(data)


@contextmanager
def replacing(path: Path, *, durable: bool = True, suffix: str = "") -> Generator[Path]:
    """Yields a temporary path beside `path`, ending in `suffix`, and renames it to `path` when the block succeeds.

    The temporary file is removed when the block fails, and the old content stays.
    """
    # Unique to this call: episodes in other threads, and on other machines, may be writing the same picture.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial{suffix}")
    try:
        yield partial
        if durable:
            _sync(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
