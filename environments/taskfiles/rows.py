"""Sources of rows: a JSONL file read line by line, a JSON array, a dataset. Invalid rows are reported by line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

MAX_ROW_BYTES = 1 << 20
"""A longer line is rejected without being read into memory: the longest known task has some 20 kB."""
MAX_ARRAY_BYTES = 256 << 20
"""A JSON array is read as a whole; a larger one should be JSONL, which is streamed."""
UTF16 = (b"\xff\xfe", b"\xfe\xff")


class TaskFileError(ValueError):
    """A source that cannot be read at all. The message is one sentence."""


class Row(NamedTuple):
    """One row as it was written. Example: `Row(number=3, place=417, value={"task_id": 3, ...})`."""

    number: int
    """Line of the file where the row begins, from 1; in a dataset the number of the row, from 1."""
    place: int
    """Position for `Source.row`: a byte offset, or an index."""
    value: Any


class Rejected(NamedTuple):
    """A row that cannot be used. Example: `Rejected(17, "task_name: missing")`."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}"


class Source(Protocol):
    """A source of rows."""

    name: str

    def rows(self) -> Iterator[Row | Rejected]:
        """Yields all rows in order; one at a time where the format allows it."""
        ...

    def row(self, place: int) -> Any:
        """Returns the value of a row that `rows` yielded with this place."""
        ...


class JsonLines:
    """One JSON value per line, streamed: memory does not grow with the file."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def rows(self) -> Iterator[Row | Rejected]:
        """Yields every line that is not blank."""
        with self._path.open("rb") as file:
            number, place = 0, 0
            while line := file.readline(MAX_ROW_BYTES + 1):
                number += 1
                length = len(line)
                if length > MAX_ROW_BYTES and not line.endswith(b"\n"):
                    length += _skip_line(file)
                    yield Rejected(number, f"longer than {MAX_ROW_BYTES >> 20} MiB, which no task is")
                elif line.strip(b"\xef\xbb\xbf \t\r\n" if number == 1 else b" \t\r\n"):
                    value = parse(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
                    yield Rejected(number, str(value)) if isinstance(value, NotJson) else Row(number, place, value)
                place += length

    def row(self, place: int) -> Any:
        """Returns the row that begins at a byte offset. Raises `TaskFileError` if the file has changed since."""
        with self._path.open("rb") as file:
            file.seek(place)
            value = parse(file.readline(MAX_ROW_BYTES).removeprefix(b"\xef\xbb\xbf"))
        if isinstance(value, NotJson):
            raise TaskFileError(f"{self.name} was changed while it was in use; start again")
        return value


class JsonArray:
    """A JSON array of rows, or an object with such an array in `tasks`: the dashboard's upload format."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._values: list[Any] = []

    def rows(self) -> Iterator[Row | Rejected]:
        """Yields every element; nothing after invalid JSON can be read."""
        text = self.text()
        decoder = json.JSONDecoder()
        self._values = []
        position, number, counted = _array_start(text, decoder, self.name), 1, 0
        while True:
            position = _skip_space(text, position)
            number, counted = number + text.count("\n", counted, position), position
            if text.startswith("]", position):
                return
            try:
                value, position = decoder.raw_decode(text, position)
            except (ValueError, RecursionError) as error:
                yield Rejected(number, f"{_why(error)}; nothing after it was read")
                return
            self._values.append(value)
            yield Row(number, len(self._values) - 1, value)
            position = _skip_space(text, position)
            if text.startswith(",", position):
                position += 1
            elif not text.startswith("]", position):
                number += text.count("\n", counted, position)
                yield Rejected(number, "expected a comma or the end of the array; nothing after it was read")
                return

    def row(self, place: int) -> Any:
        """Returns the element at an index."""
        return self._values[place]

    def text(self) -> str:
        """Returns the whole file. Raises `TaskFileError` if it is too large or not UTF-8."""
        if (size := self._path.stat().st_size) > MAX_ARRAY_BYTES:
            raise TaskFileError(
                f"{self.name} has {size >> 20} MiB and is one JSON value, which is read as a whole; write it as JSONL"
            )
        try:
            return self._path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise TaskFileError(f"{self.name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


class NotJson(str):
    """Reason why a line could not be parsed."""


def parse(line: bytes) -> Any:
    """Returns the JSON value of a line, or `NotJson` with the reason."""
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        return NotJson(f"not UTF-8 at byte {error.start} of the line; save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        return NotJson(_why(error))


def open_file(path: Path) -> Source:
    """Opens a file of tasks with the reader for its content. Raises `TaskFileError`."""
    try:
        with path.open("rb") as file:
            head = _first_line(file)
    except FileNotFoundError:
        raise TaskFileError(f"there is no task file {path}") from None
    except OSError as error:
        raise TaskFileError(f"{path} cannot be read: {error.strerror}") from None
    if head.startswith(UTF16):
        raise TaskFileError(f"{path} is UTF-16; save it as UTF-8")
    return JsonArray(path) if head.startswith(b"[") or _is_object_with_tasks(path, head) else JsonLines(path)


def _first_line(file: BinaryIO) -> bytes:
    """The first line that is not blank, without a byte order mark; at most `MAX_ROW_BYTES` of it."""
    line = file.readline(MAX_ROW_BYTES).removeprefix(b"\xef\xbb\xbf")
    while line and not line.strip():
        line = file.readline(MAX_ROW_BYTES)
    return line.lstrip()


def _is_object_with_tasks(path: Path, head: bytes) -> bool:
    """True if the file is `{"tasks": [...]}` and not JSON lines, where the first line is a task of its own."""
    first = parse(head)
    if isinstance(first, dict):
        return isinstance(first.get("tasks"), list)
    if not head.startswith(b"{") or path.stat().st_size > MAX_ARRAY_BYTES:
        return False
    try:
        return bool(_array_start(JsonArray(path).text(), json.JSONDecoder(), str(path)))
    except TaskFileError:
        return False


def _array_start(text: str, decoder: json.JSONDecoder, name: str) -> int:
    """Position of the first element of the array. Raises `TaskFileError` if there is no array."""
    position = _skip_space(text, 0)
    if text.startswith("[", position):
        return position + 1
    try:
        while not text.startswith("}", position := _skip_space(text, position + 1)):  # past "{" or ","
            key, position = decoder.raw_decode(text, position)
            position = _skip_space(text, position)
            if not text.startswith(":", position):
                break
            position = _skip_space(text, position + 1)
            if key == "tasks" and text.startswith("[", position):
                return position + 1
            _, position = decoder.raw_decode(text, position)
            position = _skip_space(text, position)
    except (ValueError, RecursionError) as error:
        raise TaskFileError(f"{name}: {_why(error)}") from None
    raise TaskFileError(f'{name} is one JSON object without "tasks"; expected an array, or JSON lines')


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _skip_line(file: BinaryIO) -> int:
    """Reads to the end of the line, in pieces; returns the number of bytes."""
    skipped = 0
    while piece := file.readline(MAX_ROW_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg.lower()} at column {error.colno}"
    return "not JSON: a number that is too long"
