"""The verdicts of a stage: verdicts.jsonl, a line per trajectory."""

from pathlib import Path

from agent.verdict import Verdict

VERDICTS = "verdicts.jsonl"


class DuplicateVerdict(ValueError):
    """A file of verdicts has two for one trajectory. The message has the file and the remedy."""


def read_verdicts(directory: Path) -> list[Verdict]:
    """The verdicts of a judge or evaluate folder, in their order. Raises `DuplicateVerdict`, OSError, ValidationError."""
    path = directory / VERDICTS
    verdicts: dict[str, Verdict] = {}
    for line in path.read_bytes().splitlines():
        verdict = Verdict.model_validate_json(line)
        if verdict.trajectory_id in verdicts:
            raise DuplicateVerdict(
                f"{path} has two verdicts for {verdict.trajectory_id}; delete the folder's done.json and resume: "
                f"the stage judges again"
            )
        verdicts[verdict.trajectory_id] = verdict
    return list(verdicts.values())
