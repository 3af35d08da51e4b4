"""The verdicts of a stage: verdicts.jsonl, a line per trajectory."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from agent.verdict import Verdict
from storage.atomic import write_atomically
from storage.human_verdicts import HumanVerdictError, latest, read_human

VERDICTS = "verdicts.jsonl"


class DuplicateVerdict(ValueError):
    """A file of verdicts has two for one trajectory. The message has the file and the remedy."""


def read_verdicts(directory: Path) -> list[Verdict]:
    """The verdicts of a judge or evaluate folder, in their order. Raises `DuplicateVerdict`, OSError, ValidationError."""
    return _read(directory / VERDICTS, "delete the folder's done.json and resume: the stage judges again")


def read_verdict_lines(path: Path) -> list[Verdict]:
    """The verdicts of a user's file: verdicts, or people's decisions as in human.jsonl, whose last one holds.

    Raises ValueError with one sentence, and OSError.
    """
    first = path.read_bytes().partition(b"\n")[0]
    if b'"person"' in first and b'"judge"' not in first:
        try:
            return list(latest(read_human(path)).values())
        except HumanVerdictError as error:
            raise ValueError(str(error)) from error
    try:
        return _read(path, "keep one of them")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: expected a verdict a line; {place + ': ' if place else ''}{first['msg']}") from error


def _read(path: Path, cure: str) -> list[Verdict]:
    verdicts: dict[str, Verdict] = {}
    for line in path.read_bytes().splitlines():
        verdict = Verdict.model_validate_json(line)
        if verdict.trajectory_id in verdicts:
            raise DuplicateVerdict(f"{path} has two verdicts for {verdict.trajectory_id}; {cure}")
        verdicts[verdict.trajectory_id] = verdict
    return list(verdicts.values())


def write_verdicts(directory: Path, verdicts: Iterable[Verdict]) -> None:
    """Replaces the verdicts of a folder, all at once."""
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / VERDICTS, "".join(f"{verdict.model_dump_json()}\n" for verdict in verdicts).encode())
