"""People's verdicts: human.jsonl beside the verdicts of a stage, a line per decision. They go before every judge's.

{"trajectory_id": "i0003-t.1-m00", "reward": 1.0, "person": "anna", "at": "2026-11-29T10:15:00Z", "note": "order 17 is there"}

A later line about the same trajectory corrects the earlier one, which stays as a record. A line is written as a whole, by
one process at a time; a torn last line, of a process that was killed while it wrote, is no decision.
"""

import fcntl
import os
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.types import Reward
from agent.verdict import Verdict
from storage.errors import LoopError

HUMAN = "human.jsonl"
JUDGE = "human"
"""`Verdict.judge` of a person's verdict."""
LOCK_S = 10.0
"""Longest wait for another process that writes the file."""


class HumanVerdictError(LoopError):
    """A file of people's verdicts can't be used. The message is one sentence with the line."""


class HumanVerdict(BaseModel):
    """A person's decision about one trajectory: a reward, or that the site blocked the visit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trajectory_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]
    reward: Reward | None = None
    blocked: bool = False
    person: Annotated[str, Field(min_length=1, max_length=64)]
    at: AwareDatetime
    note: Annotated[str, Field(max_length=2_000)] = ""

    @model_validator(mode="after")
    def _decides(self) -> "HumanVerdict":
        if (self.reward is None) != self.blocked:
            raise ValueError("expected a reward or blocked, and not both")
        for name, text in (("person", self.person), ("note", self.note)):
            if not text.isprintable() or text != text.strip():
                raise ValueError(f"{name}: expected one line of text without spaces around it, found {text[:80]!r}")
        return self

    def verdict(self) -> Verdict:
        """The decision as a verdict."""
        when = self.at.isoformat(timespec="seconds")
        decision = f"decided by {self.person} at {when}"
        return Verdict(
            trajectory_id=self.trajectory_id,
            reward=self.reward,
            blocked=self.blocked,
            unjudged="blocked" if self.blocked else "",
            judge=JUDGE,
            evidence=f"{decision}: {self.note}" if self.note else decision,
            person=self.person,
            decided_at=when,
        )


def read_human(path: Path) -> list[HumanVerdict]:
    """All decisions of a file in their order; none without a file. Raises `HumanVerdictError`, OSError."""
    try:
        return _parse(path, path.read_bytes())[0]
    except FileNotFoundError:
        return []


def latest(decisions: Iterable[HumanVerdict]) -> dict[str, Verdict]:
    """The verdict that holds for each trajectory id: the last one."""
    return {decision.trajectory_id: decision.verdict() for decision in decisions}


def append_human(path: Path, decision: HumanVerdict) -> None:
    """Appends a decision; it is on the disk when this returns. Raises `HumanVerdictError`, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = decision.model_dump_json().encode() + b"\n"
    with path.open("a+b", buffering=0) as file, _locked(file, path):
        file.seek(0)
        data = file.read()
        _, complete = _parse(path, data)
        file.truncate(complete)
        if complete and data[complete - 1 : complete] != b"\n":
            line = b"\n" + line
        try:
            left = memoryview(line)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(complete)
            raise


def _parse(path: Path, data: bytes) -> tuple[list[HumanVerdict], int]:
    """The decisions, and the number of bytes without a torn last line."""
    found: list[HumanVerdict] = []
    complete = data.rfind(b"\n") + 1
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        is_last = number == data.count(b"\n") + 1
        try:
            found.append(HumanVerdict.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            if is_last and first["type"] == "json_invalid":
                continue
            place = ".".join(map(str, first["loc"]))
            problem = f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"
            raise HumanVerdictError(f"{path}: line {number} is no verdict of a person: {problem}") from None
        if is_last:  # written by hand, without a line end
            complete = len(data)
    return found, complete


@contextmanager
def _locked(file: BinaryIO, path: Path) -> Generator[None]:
    """The right to write the file. Raises `HumanVerdictError` after `LOCK_S`."""
    end = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= end:
                raise HumanVerdictError(
                    f"{path} has been locked by another process for {LOCK_S:g} s; try again"
                ) from None
            time.sleep(0.02)
    yield
