"""The recordings beside a trajectory: lists, moves and removes their files.

<root>/<id>/video.webm, video-2.webm ..   a film of each tab, in the order in which they were opened
<root>/<id>/trace.zip                     for `playwright show-trace`
<root>/<id>/network.jsonl                 the requests of the pages (`storage.recordings.requests`)
<root>/<id>/console.jsonl                 the messages of their console
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from agent.config import RecordConfig
from agent.types import RecordedKind, Trajectory
from agent.verdict import Verdict

FILE = re.compile(r"video(-[1-9]\d{0,3})?\.webm|trace\.zip|(network|console)\.jsonl")
ORDER: Mapping[RecordedKind, int] = {"video": 0, "trace": 1, "network": 2, "console": 3}


def recorded_in(folder: Path) -> list[Path]:
    """The films in a trajectory's folder, in the order of their tabs, its trace and its logs; none if there is no such
    folder."""
    try:
        found = [path for path in folder.iterdir() if FILE.fullmatch(path.name) and path.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda path: (ORDER[kind_of(path.name)], len(path.name), path.name))


def kind_of(name: str) -> RecordedKind:
    """Kind of recording in a file of this name."""
    if name.endswith(".jsonl"):
        return "console" if name == "console.jsonl" else "network"
    return "trace" if name == "trace.zip" else "video"


def move_recorded(old: Path, new: Path) -> None:
    """Moves the recordings of one trajectory's folder to another, also to another disk. Can be repeated."""
    for path in recorded_in(old):
        new.mkdir(parents=True, exist_ok=True)
        shutil.move(path, new / path.name)


def remove_recorded(folder: Path) -> None:
    """Removes the recordings of a trajectory's folder."""
    for path in recorded_in(folder):
        path.unlink(missing_ok=True)


def is_worth_a_look(trajectory: Trajectory, verdict: Verdict) -> bool:
    """True if the rule `failures` keeps the episode's recordings: it broke, or is not known to have succeeded."""
    succeeded = verdict.reward is not None and verdict.reward >= 1 and not verdict.blocked
    return trajectory.failure is not None or not succeeded


def keep_by_rule(root: Path, config: RecordConfig, trajectory: Trajectory, verdict: Verdict) -> None:
    """Removes the recordings of a judged trajectory that the rules do not keep. Can be repeated.

    The log of requests stays: it is evidence, which a trajectory that is judged again needs again. So does that of the
    console, which is small.
    """
    rules: Mapping[RecordedKind, str] = {
        "video": config.video,
        "trace": config.trace,
        "network": "all",
        "console": "all",
    }
    if not is_worth_a_look(trajectory, verdict):
        for path in recorded_in(root / trajectory.id):
            if rules[kind_of(path.name)] == "failures":
                path.unlink(missing_ok=True)
