"""Checks a stage folder for remains of a crash, of a full disk or of manual changes, with a remedy for each problem."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from agent.types import Trajectory
from storage.packs import CorruptPack
from storage.recordings.recorded import recorded_in
from storage.store import IMAGES, STEPS, TRAJECTORY, CorruptTrajectory, TrajectoryStore, pictures_of

Kind = Literal[
    "torn", "missing_picture", "damaged_picture", "damaged_film", "duplicate", "half_played", "orphan", "leftover"
]
HARMLESS: dict[Kind, str] = {
    "half_played": "half-played episodes",
    "orphan": "pictures of no trajectory",
    "leftover": "traces of interrupted writes",
}
"""Problems that only take disk space: an interrupted episode is played again, the other files have no references."""


class Problem(NamedTuple):
    """A problem with its remedy. Example: `Problem("torn", "...; delete this folder ..")`."""

    kind: Kind
    text: str


class Checked(NamedTuple):
    """Result of a check."""

    trajectories: int
    pictures: int
    problems: list[Problem]


def check_store(root: Path) -> Checked:
    """Reads every trajectory and every picture of a stage folder, one at a time."""
    store = TrajectoryStore(root)
    problems: list[Problem] = []
    try:
        ids = store.ids()
    except CorruptPack as error:
        return Checked(0, 0, [Problem("torn", str(error))])
    pictures: set[str] = set()
    named: Counter[str] = Counter()
    for name in ids:
        try:
            trajectory = store.read(name)
        except CorruptTrajectory as error:
            problems.append(Problem("torn", str(error)))
            continue
        named[trajectory.id] += 1
        pictures |= pictures_of(trajectory)
        problems += _recorded(root / name, trajectory)
        if trajectory.id != name:
            problems.append(
                Problem("duplicate", f"{root / name} says that it is {trajectory.id}; delete this copy of the folder")
            )
    for sha256 in sorted(pictures):
        problems += _picture(store, sha256)
    problems += _needless(root, pictures)
    return Checked(len(ids), len(pictures), problems)


def _picture(store: TrajectoryStore, sha256: str) -> list[Problem]:
    try:
        store.image(sha256)
    except FileNotFoundError:
        if store.lacks_pictures:
            return []
        where = store.image_path(sha256)
        text = f"{where} is missing; delete the folders of the trajectories that show it to play them again"
        return [Problem("missing_picture", text)]
    except CorruptTrajectory as error:
        return [Problem("damaged_picture", str(error))]
    return []


def _recorded(folder: Path, trajectory: Trajectory) -> Iterator[Problem]:
    """Films and traces of another size than recorded. A missing one is no problem: rules and people remove some."""
    sizes = {one.file: one.size for one in trajectory.recorded}
    for path in recorded_in(folder):
        if path.name not in sizes:
            yield Problem("leftover", f"{path} is of an attempt that broke off; delete it")
        elif path.stat().st_size != sizes[path.name]:
            yield Problem(
                "damaged_film",
                f"{path} has not the {sizes[path.name]} bytes that were written; delete it"
                + (": judges leave this episode unjudged then" if path.suffix == ".jsonl" else ", nothing needs it"),
            )


def _needless(root: Path, pictures: set[str]) -> Iterator[Problem]:
    """Files that only take disk space."""
    for steps in sorted(root.glob(f"*/{STEPS}")):
        if not (steps.parent / TRAJECTORY).exists():
            yield Problem("half_played", f"{steps.parent} broke off; a resume plays it again")
    ids = set(TrajectoryStore(root).ids())
    for folder in sorted(path for path in root.glob("*/") if path.name != IMAGES and path.name not in ids):
        if recorded_in(folder) and not (folder / STEPS).exists():
            yield Problem("leftover", f"{folder} has films of no trajectory; compacting the run removes it")
    for path in sorted((root / IMAGES).glob("*/*")):
        if path.stem not in pictures and not path.name.startswith("."):
            yield Problem("orphan", f"no trajectory shows {path}; compacting the run removes it")
    for path in sorted(root.rglob(".*.partial")):
        yield Problem("leftover", f"{path} is from a write that was interrupted; compacting the run removes it")
    for folder in sorted(path for path in root.glob("*/") if path.name != IMAGES):
        if not any(folder.iterdir()):
            yield Problem("leftover", f"{folder} is empty; compacting the run removes it")
