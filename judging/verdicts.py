"""The verdict file: one line per verdict, appended and synchronised when it is there, so that a kill loses none.

An unjudged line is superseded by a later line with the same key. Two decided lines with the same key must be equal: a
different one means that two judges wrote the file, or that someone changed it. A torn last line is no verdict.
"""

import os
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from pydantic import ValidationError

from agent.verdict import Verdict
from judging.endpoints.protocol import Usage, sum_of


class CorruptVerdicts(ValueError):
    """A verdict file that can't be trusted. The message has the line and the remedy."""


class Identity(NamedTuple):
    """Identity of a verdict in a file. `key` is empty for judges that are not cached."""

    trajectory_id: str
    judge: str
    key: str


def read_verdict_file(path: Path) -> list[Verdict]:
    """The current verdict of each identity, in the order of first appearance; empty when there is no file.

    Raises `CorruptVerdicts`.
    """
    verdicts, _, _ = _read(path)
    return list(verdicts.values())


class VerdictFile:
    """A verdict file that is being written, by one process at a time. Use as `with VerdictFile(path) as file`.

    Methods may be called from threads; `append` blocks until the line is on the disk.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file and removes a torn last line. Raises `CorruptVerdicts`."""
        self._verdicts, complete, self._used = _read(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._lock = Lock()
        if self._file.tell() > complete:
            self._file.truncate(complete)

    def __enter__(self) -> "VerdictFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, trajectory_id: str, judge: str, key: str) -> Verdict | None:
        """The decided verdict with this identity. An unjudged one is None: it is to be tried again."""
        with self._lock:
            found = self._verdicts.get(Identity(trajectory_id, judge, key))
        return found if found is not None and is_final(found) else None

    def append(self, verdict: Verdict) -> None:
        """Appends a verdict. Raises `CorruptVerdicts` for a second, different decision with the same identity."""
        line = verdict.model_dump_json().encode() + b"\n"
        with self._lock:
            if not _accept(self._verdicts, verdict, "the new verdict"):
                return
            end = self._file.seek(0, os.SEEK_END)
            try:
                left = memoryview(line)
                while left:  # an unbuffered write may be a short one
                    left = left[self._file.write(left) :]
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(end)  # a full disk must not leave half a line before the next one
                raise
            self._verdicts[_identity(verdict)] = verdict
            _count(self._used, verdict)

    @property
    def used(self) -> Usage:
        """The consumption of all its verdicts, the superseded ones too."""
        with self._lock:
            return sum_of(self._used.values())

    def used_by(self, model: str) -> Usage:
        """The consumption of one judge model: the start of its resumed budget."""
        with self._lock:
            return self._used.get(model, Usage())

    def verdicts(self) -> list[Verdict]:
        """The current verdicts, in the order of first appearance."""
        with self._lock:
            return list(self._verdicts.values())


def is_final(verdict: Verdict) -> bool:
    """True if the verdict needs no second try: there is a reward, or the episode was blocked."""
    return verdict.reward is not None or verdict.blocked


def _read(path: Path) -> tuple[dict[Identity, Verdict], int, dict[str, Usage]]:
    """The current verdicts, the number of bytes of the complete lines, and what all lines cost, by model."""
    verdicts: dict[Identity, Verdict] = {}
    used: dict[str, Usage] = {}
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return verdicts, 0, used
    complete = data.rfind(b"\n") + 1
    for number, line in enumerate(data[:complete].split(b"\n")[:-1], 1):
        try:
            verdict = Verdict.model_validate_json(line)
        except ValidationError as error:
            raise CorruptVerdicts(
                f"{path}: line {number} is no verdict: {error.errors()[0]['msg']}; remove the line to judge again"
            ) from error
        if _accept(verdicts, verdict, f"{path}: line {number}"):
            verdicts[_identity(verdict)] = verdict
            _count(used, verdict)
    return verdicts, complete, used


def _accept(verdicts: dict[Identity, Verdict], verdict: Verdict, where: str) -> bool:
    """True if the verdict is new. Raises `CorruptVerdicts` when it contradicts a decided one."""
    before = verdicts.get(_identity(verdict))
    if before is None:
        return True
    if not is_final(before):
        return before != verdict
    if before != verdict:
        raise CorruptVerdicts(
            f"{where} decides {verdict.trajectory_id} a second time ({before.judge}: {before.reward}, then"
            f" {verdict.reward}); keep one of the two lines"
        )
    return False


def _count(used: dict[str, Usage], verdict: Verdict) -> None:
    if verdict.votes:  # a panel's decision costs what its members' verdicts cost, which have lines of their own
        return
    spent = Usage(0, verdict.tokens_in, verdict.tokens_out, verdict.cost)
    used[verdict.model] = used.get(verdict.model, Usage()).plus(spent)


def _identity(verdict: Verdict) -> Identity:
    return Identity(verdict.trajectory_id, verdict.judge, verdict.key)
