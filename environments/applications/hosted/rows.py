"""Changes of an episode as rows of tables, for the checks of installed applications."""

from collections.abc import Mapping
from typing import Any

from environments.tasks.changes import Changes

Row = Mapping[str, Any]


class Rows:
    """The changes by table. Example: `Rows(end.changes).new("users")` -> `{"17": {"id": 17, "name": "Ada"}}`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def new(self, table: str) -> dict[str, Row]:
        """Rows that did not exist, by key."""
        return {key: row for key, (before, row) in self._whole(table).items() if before is None and _is_row(row)}

    def gone(self, table: str) -> dict[str, Row]:
        """Rows that no longer exist, by key."""
        return {key: row for key, (row, after) in self._whole(table).items() if after is None and _is_row(row)}

    def changed(self, table: str, key: int | str) -> dict[str, Any]:
        """Values after the episode of a row's changed columns. A column of JSON objects gives `column/key`."""
        start = f"{table}/{key}/"
        return {
            change.path.removeprefix(start): change.after
            for change in self._changes.all
            if change.path.startswith(start)
        }

    def only(self, *patterns: str) -> bool:
        """True if every change fits a pattern of paths: there are no side effects."""
        return self._changes.only(*patterns)

    def _whole(self, table: str) -> dict[str, tuple[Any, Any]]:
        start = f"{table}/"
        found = [change for change in self._changes.all if change.path.startswith(start)]
        return {
            change.path.removeprefix(start): (change.before, change.after)
            for change in found
            if "/" not in change.path.removeprefix(start)
        }


def _is_row(value: Any) -> bool:
    return isinstance(value, Mapping)
