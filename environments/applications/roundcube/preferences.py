"""Preferences of an account, which Roundcube keeps in PHP's format for serialized values."""

from typing import Any


def preferences(text: str | None) -> dict[str, Any]:
    """The preferences by name. Example: `preferences('a:1:{s:13:"mail_pagesize";i:25;}') == {"mail_pagesize": 25}`.

    Raises ValueError for another format.
    """
    data = (text or "a:0:{}").encode()
    found, end = _value(data, 0)
    if not isinstance(found, dict) or end != len(data):
        raise ValueError(f"expected an array in PHP's format, found {text!r}")
    return found


def _value(data: bytes, at: int) -> tuple[Any, int]:
    """A value, and where it ends."""
    kind = data[at : at + 1]
    if kind == b"N":
        return None, at + 2
    if kind in b"bid":
        end = data.index(b";", at)
        number = data[at + 2 : end].decode()
        return {b"b": lambda: number == "1", b"i": lambda: int(number), b"d": lambda: float(number)}[kind](), end + 1
    length, start = _length(data, at + 2)
    if kind == b"s":
        return data[start + 1 : start + 1 + length].decode(), start + length + 3
    if kind == b"a":
        found, at = {}, start + 1
        for _ in range(length):
            key, at = _value(data, at)
            found[key], at = _value(data, at)
        return found, at + 1
    raise ValueError(f"expected a value in PHP's format, found {data[at : at + 20]!r}")


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A number that a colon ends, and the place after it."""
    end = data.index(b":", at)
    return int(data[at:end]), end + 1
