"""Hugging Face datasets as a source of rows: `hf:microsoft/webgym_tasks#train`, `hf:NAME@REVISION#SPLIT`, `hf:/a/folder#train`.

The library `datasets` (extra `data`) fetches a dataset once and keeps it in its own cache; `HF_HUB_OFFLINE=1` forbids fetching.
"""

import re
from collections.abc import Iterator
from typing import Any

from environments.taskfiles.rows import Rejected, Row, TaskFileError

PREFIX = "hf:"
SPEC = re.compile(r"hf:(?P<name>[^@#]+)(@(?P<revision>[^#]+))?(#(?P<split>.+))?")


class Dataset:
    """The rows of one split of a dataset."""

    def __init__(self, name: str) -> None:
        """Raises `TaskFileError` if the name has another form than in the module docstring."""
        match = SPEC.fullmatch(name)
        if match is None:
            raise TaskFileError(f"expected a dataset as hf:NAME#SPLIT, found {name}")
        self.name = name
        self._dataset, self._revision, self._split = match["name"], match["revision"], match["split"] or "train"
        self._table: Any = None

    def rows(self) -> Iterator[Row | Rejected]:
        """Yields every row, from memory-mapped Arrow files. Raises `TaskFileError`."""
        for position, value in enumerate(self._loaded()):
            yield Row(position + 1, position, value)

    def row(self, place: int) -> Any:
        """Returns the row at a position."""
        return self._loaded()[place]

    def _loaded(self) -> Any:
        if self._table is None:
            try:
                from datasets import load_dataset
            except ImportError:
                raise TaskFileError(
                    f"{self.name} needs the library datasets: pip install -e '.[data]' -c constraints.txt"
                ) from None
            try:
                self._table = load_dataset(self._dataset, split=self._split, revision=self._revision)
            except (
                Exception
            ) as error:  # the library raises errors of its dependencies: OSError, ValueError, pyarrow's own ..
                reason = " ".join(str(error).split())[:200]
                raise TaskFileError(f"{self.name} cannot be loaded: {type(error).__name__}: {reason}") from error
        return self._table
