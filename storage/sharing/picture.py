"""Pictures within an HTML file: data URIs of known image formats, each once, up to a size."""

import base64
from collections.abc import Callable

from storage.store import CorruptTrajectory

MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
"""Media types by the first bytes of a picture. Anything else, such as SVG, could hold a program."""


def media_type_of(data: bytes) -> str | None:
    """Media type of a picture by its first bytes; None for what is no PNG, JPEG or WebP."""
    return next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)


class Pictures:
    """The pictures of one file. `read` returns the bytes of a hash, as `TrajectoryStore.image` does."""

    def __init__(self, read: Callable[[str], bytes], most_bytes: int) -> None:
        self._read = read
        self._left = most_bytes
        self._names: dict[str, str] = {}
        self.left_out = 0
        """Number of pictures that did not fit."""

    def name(self, sha256: str) -> str:
        """The element id of a picture that the file holds already; empty for a new one."""
        return self._names.get(sha256, "")

    def embed(self, sha256: str) -> tuple[str, str]:
        """The data URI of a new picture, and why there is none: exactly one of them is empty."""
        try:
            data = self._read(sha256)
        except (CorruptTrajectory, FileNotFoundError, LookupError):
            return "", "the picture is missing or damaged"
        if (kind := media_type_of(data)) is None:
            return "", "the stored picture is neither PNG nor JPEG nor WebP"
        encoded = base64.b64encode(data).decode()
        if len(encoded) > self._left:
            self.left_out += 1
            return "", "the picture was left out: the file would be too large"
        self._left -= len(encoded)
        self._names[sha256] = f"picture-{len(self._names) + 1}"
        return f"data:{kind};base64,{encoded}", ""
