"""Estimated token counts, for servers that report none: a budget must not count such calls as free."""

from judging.endpoints.protocol import Part

CHARS_PER_TOKEN = 3
PER_PICTURE = 1_500


def tokens_of(*parts: Part) -> int:
    """Upper estimate of the tokens of some parts."""
    return sum(-(-len(part) // CHARS_PER_TOKEN) if isinstance(part, str) else PER_PICTURE for part in parts)


def reported(value: object, estimate: int) -> int:
    """The server's count when it is a whole number from 0, otherwise the estimate."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else estimate
