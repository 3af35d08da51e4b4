"""Shared by the formats: reads a field of an external row, or raises the reason why it is invalid."""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from agent.types import Split, Task

SHOWN = 60
"""Largest number of characters of an invalid value in a reason."""
NO_ANSWER = frozenset({"", "none", "null", "nan"})
"""Texts that mean "no reference answer" in WebGym's files."""


class BadRow(ValueError):
    """A row that is not a valid task. The message names the field."""


def shown(value: object) -> str:
    """A value as text for a reason, escaped and shortened."""
    text = ascii(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}.. ({len(text)} characters)"


def is_missing(value: object) -> bool:
    """True for an empty cell: null, or NaN as pandas writes it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_of(row: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    """A field's text, stripped; "" if there is none. Raises `BadRow`."""
    value = row.get(key)
    if is_missing(value):
        value = ""
    if not isinstance(value, str):
        raise BadRow(f"{key}: expected text, found {shown(value)}")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadRow(f"{key}: half of a surrogate pair, which is no text: {shown(value)}")
    if required and not value.strip():
        raise BadRow(f"{key}: missing")
    return value.strip()


def whole_number_of(row: Mapping[str, Any], key: str) -> int | None:
    """A field's integer, None if there is none. Raises `BadRow`."""
    value = row.get(key)
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas converts a column with missing values to floats
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRow(f"{key}: expected a whole number, found {shown(value)}")
    return value


def flag_of(row: Mapping[str, Any], key: str) -> bool:
    """A field's true or false; false if there is none. Raises `BadRow`."""
    value = row.get(key)
    if is_missing(value):
        return False
    if not isinstance(value, bool):
        raise BadRow(f"{key}: expected true or false, found {shown(value)}")
    return value


def id_of(row: Mapping[str, Any], key: str) -> str:
    """A task's id, as text. Raises `BadRow`; `Task` validates the text."""
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of(row, key, required=True)


def url_of(row: Mapping[str, Any], key: str, *, default: str = "") -> str:
    """A web address; `https://` is added to one without a scheme, as WebGym does. Raises `BadRow`."""
    text = text_of(row, key) or default
    if not text:
        return ""
    address = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(address)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise BadRow(f"{key}: not a web address: {shown(text)}") from None
    if parts.scheme not in ("http", "https") or not host or any(letter.isspace() for letter in address):
        raise BadRow(f"{key}: expected an http or https address, found {shown(text)}")
    return address


def split_of(row: Mapping[str, Any], key: str, default: Split) -> Split:
    """The split in a row; `test` means heldout. Raises `BadRow`."""
    match text_of(row, key):
        case "":
            return default
        case "train":
            return "train"
        case "heldout" | "test":
            return "heldout"
        case other:
            raise BadRow(f"{key}: expected train or heldout, found {shown(other)}")


def make_task(fields: Mapping[str, Any], names: Mapping[str, str]) -> Task:
    """Validates the fields as a task. Raises `BadRow`; `names` maps this project's fields to the file format's."""
    try:
        return Task.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        ours = str(first["loc"][0]) if first["loc"] else ""
        name = names.get(ours, ".".join(map(str, first["loc"])))
        if ours == "id":
            raise BadRow(
                f"{name}: expected at most 128 letters, digits, dots, dashes and underscores, the first a letter or digit, "
                f"found {shown(first['input'])}"
            ) from None
        message = first["msg"][0].lower() + first["msg"][1:]
        raise BadRow(f"{name}: {message}, found {shown(first['input'])}") from None
