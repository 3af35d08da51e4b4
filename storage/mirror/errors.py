"""Errors of a mirror."""

from storage.errors import LoopError


class MirrorError(LoopError):
    """The mirror can't be read or written, or holds something else than expected. The message is one sentence."""


class MirrorTaken(MirrorError):
    """Another machine goes on with the run. The message is one sentence that names it."""
