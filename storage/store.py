"""Trajectory folders: a folder per trajectory, `trajectory.json` last, pictures shared by content hash.

<root>/<id>/steps.jsonl          the steps so far, while the episode is being played; removed when it is complete
<root>/<id>/trajectory.json      exists only when the trajectory is complete
<root>/<id>/video.webm ..        films, traces and logs of requests, where they were asked for (`storage.recordings.recorded`)
<root>/images/<aa>/<sha256>.png  written once, however many steps and members show it (.jpg, .webp by their content)
<root>/pictures_removed.json     old pictures were removed (`storage.upkeep.retention`): a missing one is no damage
<root>/pack.zip                  result of `rl-loop compact`: finished folders and their pictures, under the same names
"""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from agent.config import RecordConfig
from agent.types import Step, Trajectory
from agent.verdict import Verdict
from storage.atomic import write_atomically
from storage.packs import PACK, CorruptPack, Pack, open_pack
from storage.recordings.recorded import keep_by_rule, move_recorded, remove_recorded
from storage.recordings.requests import RequestLog, read_requests
from storage.step_lines import by_lines

IMAGES = "images"
TRAJECTORY = "trajectory.json"
STEPS = "steps.jsonl"
PICTURES_REMOVED = "pictures_removed.json"
"""File of a stage folder whose old pictures were removed (`storage.upkeep.retention`)."""
SUFFIXES = (".png", ".jpg", ".webp")


class CorruptTrajectory(ValueError):
    """A stored trajectory or picture that can't be read. The message has the file and the remedy."""


class TrajectoryStore:
    """The trajectories of one stage folder. Writing is atomic; writers of different ids are independent."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, trajectory_id: str) -> "Recording":
        """Begins an episode: removes the steps and recordings of an earlier attempt."""
        folder = self.root / trajectory_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STEPS).write_bytes(b"")
        remove_recorded(folder)
        return Recording(self, trajectory_id)

    def write(self, trajectory: Trajectory, images: Mapping[str, bytes]) -> None:
        """Stores a trajectory and its pictures. `has(trajectory.id)` becomes True at the end, atomically.

        `images` may leave out pictures that are stored already. Raises OSError when the disk is full: then the
        trajectory does not exist.
        """
        for sha256, data in images.items():
            self.write_image(sha256, data)
        folder = self.root / trajectory.id
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / TRAJECTORY, by_lines(trajectory))
        (folder / STEPS).unlink(missing_ok=True)

    def keep_by_rule(self, rules: RecordConfig, trajectory: Trajectory, verdict: Verdict) -> None:
        """Removes the recordings of a judged trajectory that the rules do not keep. Can be repeated."""
        keep_by_rule(self.root, rules, trajectory, verdict)

    def take_over(self, other: "TrajectoryStore", trajectory_id: str) -> None:
        """Moves a complete trajectory here from another store on the same disk. Pictures are linked, films moved,
        nothing copied.

        Can be repeated: a move that a crash interrupted is completed.
        """
        if other.has(trajectory_id):
            trajectory = other.read(trajectory_id)
            for sha256 in pictures_of(trajectory):
                self.link_image(other, sha256)
            move_recorded(other.root / trajectory_id, self.root / trajectory_id)
            self.write(trajectory, {})
            other.forget(trajectory_id)

    def link_image(self, other: "TrajectoryStore", sha256: str) -> None:
        """Links a picture of another store; copies it where the disk can't link."""
        if self.has_image(sha256):
            return
        source = other.image_path(sha256)
        target = self._image_folder(sha256) / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except OSError:  # another disk, a file system without links, or a picture in the pack
            write_atomically(target, other.image(sha256))

    def forget(self, trajectory_id: str) -> None:
        """Removes a loose trajectory, complete or not; its pictures stay."""
        for name in (TRAJECTORY, STEPS):
            (self.root / trajectory_id / name).unlink(missing_ok=True)
        remove_recorded(self.root / trajectory_id)
        with suppress(OSError):
            (self.root / trajectory_id).rmdir()

    def write_image(self, sha256: str, data: bytes) -> None:
        """Stores a picture under its hash, unless it exists."""
        if self.has_image(sha256):
            return
        path = self._image_folder(sha256) / f"{sha256}{suffix_of(data)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)

    def has(self, trajectory_id: str) -> bool:
        """True if this trajectory is complete."""
        return (self.root / trajectory_id / TRAJECTORY).is_file() or f"{trajectory_id}/{TRAJECTORY}" in self._pack()

    def ids(self) -> list[str]:
        """Ids of the complete trajectories, sorted."""
        loose = {path.parent.name for path in self.root.glob(f"*/{TRAJECTORY}")}
        packed = {name.split("/")[0] for name in self._pack().names() if name.endswith(f"/{TRAJECTORY}")}
        return sorted(loose | packed)

    def file_of(self, trajectory_id: str) -> Path:
        """The file that holds this trajectory: its own, or the pack."""
        path = self.root / trajectory_id / TRAJECTORY
        return path if path.is_file() or f"{trajectory_id}/{TRAJECTORY}" not in self._pack() else self.root / PACK

    def read(self, trajectory_id: str) -> Trajectory:
        """One trajectory. Raises `CorruptTrajectory`, and FileNotFoundError when there is none."""
        name = f"{trajectory_id}/{TRAJECTORY}"
        path = self.root / name
        try:
            data = path.read_bytes() if path.is_file() or name not in self._pack() else self._pack().read(name)
            return Trajectory.model_validate_json(data)
        except CorruptPack as error:
            raise CorruptTrajectory(str(error)) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CorruptTrajectory(
                f"{path}: {where}: {first['msg']}; delete this folder to play the episode again"
            ) from error

    def requests(self, trajectory: Trajectory) -> RequestLog | None:
        """The log of a trajectory's requests, None if none was recorded. Raises `CorruptRequests`, also for a log of
        another size than recorded."""
        recorded = next((one for one in trajectory.recorded if one.kind == "network" and one.file), None)
        return read_requests(self.root / trajectory.id, size=recorded.size) if recorded else None

    def __iter__(self) -> Iterator[Trajectory]:
        """All complete trajectories in the order of their ids, one at a time."""
        return (self.read(trajectory_id) for trajectory_id in self.ids())

    def steps_so_far(self, trajectory_id: str) -> list[Step]:
        """The steps of an unfinished episode; an incomplete last line is left out."""
        try:
            lines = (self.root / trajectory_id / STEPS).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [Step.model_validate_json(line) for line in lines]

    def image_path(self, sha256: str) -> Path:
        """Path of the picture with this hash outside the pack, whether it exists or not."""
        paths = [self._image_folder(sha256) / f"{sha256}{suffix}" for suffix in SUFFIXES]
        return next((path for path in paths if path.is_file()), paths[0])

    def has_image(self, sha256: str) -> bool:
        """True if there is a picture with this hash."""
        return self.image_path(sha256).is_file() or self._packed_image(sha256) is not None

    @property
    def lacks_pictures(self) -> bool:
        """True if old pictures were removed: a missing one is no damage."""
        return (self.root / PICTURES_REMOVED).is_file()

    def image(self, sha256: str) -> bytes:
        """A picture's bytes. Raises `CorruptTrajectory` if they don't match the hash, FileNotFoundError if missing."""
        path = self.image_path(sha256)
        packed = None if path.is_file() else self._packed_image(sha256)
        try:
            data = path.read_bytes() if packed is None else self._pack().read(packed)
        except CorruptPack as error:
            raise CorruptTrajectory(str(error)) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise CorruptTrajectory(f"{path} is damaged: its content does not match its name; delete it and play again")
        return data

    def _image_folder(self, sha256: str) -> Path:
        return self.root / IMAGES / sha256[:2]

    def _packed_image(self, sha256: str) -> str | None:
        pack = self._pack()
        names = (f"{IMAGES}/{sha256[:2]}/{sha256}{suffix}" for suffix in SUFFIXES)
        return next((name for name in names if name in pack), None)

    def _pack(self) -> Pack:
        return open_pack(self.root / PACK)


class Recording:
    """An episode that is being played: each finished step is written at once, so that it can be viewed meanwhile."""

    def __init__(self, store: TrajectoryStore, trajectory_id: str) -> None:
        self.bytes = 0
        """Bytes of its pictures so far."""
        self._store = store
        self._id = trajectory_id
        self._pictures: set[str] = set()
        self._lock = Lock()

    def add(self, step: Step, images: Mapping[str, bytes]) -> None:
        """Stores a step and its new pictures. Blocks for some milliseconds: call it in a thread."""
        with self._lock:
            for sha256, data in images.items():
                self._store.write_image(sha256, data)
                self._pictures.add(sha256)
                self.bytes += len(data)
            with self._steps.open("ab") as file:
                file.write(step.model_dump_json().encode() + b"\n")

    def partial(self) -> Path:
        """A temporary path for a recording until it is complete; `add_file` renames it."""
        return self._store.root / self._id / f".recorded.{secrets.token_hex(4)}.partial"

    def add_file(self, partial: Path, name: str) -> int:
        """Stores a complete recording in the current store under its name; returns its size. Blocks like `add`."""
        with partial.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        with self._lock:
            target = self._store.root / self._id / name
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
        if partial.parent != target.parent:  # the episode was moved to another store meanwhile
            with suppress(OSError):
                partial.parent.rmdir()
        return size

    def move_to(self, store: TrajectoryStore) -> None:
        """Continues in another store: a partial rollout is carried over to the next iteration. Blocks as `add` does."""
        with self._lock:
            old, steps = self._store, self._store.steps_so_far(self._id)
            for sha256 in self._pictures:  # the newest belongs to an unfinished step
                store.link_image(old, sha256)
            self._store = store
            self._steps.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._steps, b"".join(step.model_dump_json().encode() + b"\n" for step in steps))
            move_recorded(old.root / self._id, store.root / self._id)
            old.forget(self._id)

    @property
    def _steps(self) -> Path:
        return self._store.root / self._id / STEPS


def pictures_of(trajectory: Trajectory) -> set[str]:
    """Hashes of all pictures that a trajectory refers to, in observations and in prompts."""
    last = trajectory.final_observation
    end = {last.screenshot.sha256} if last is not None and last.screenshot is not None else set[str]()
    return end | pictures_in(trajectory.steps)


def pictures_in(steps: Iterable[Step]) -> set[str]:
    """Hashes of all pictures that steps refer to, in observations and in prompts."""
    shown: set[str] = set()
    for step in steps:
        if step.observation.screenshot is not None:
            shown.add(step.observation.screenshot.sha256)
        shown.update(step.completion.images if step.completion is not None else ())
    return shown


def suffix_of(data: bytes) -> str:
    """The file name's suffix for a picture, from its first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    return ".webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ".png"
