"""Trajectory folders: a folder per trajectory, `trajectory.json` last, pictures shared by content hash.

<root>/<id>/steps.jsonl          the steps so far, while the episode is being played; gone when it is complete
<root>/<id>/trajectory.json      exists only when the trajectory is complete
<root>/<id>/video.webm ..        films and traces, where they were asked for (`agent.recorded`)
<root>/images/<aa>/<sha256>.png  written once, however many steps and members show it (.jpg, .webp by their content)
<root>/pack.zip                  what `rl-loop compact` made of finished folders and their pictures, under the same names
"""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from agent.packs import PACK, CorruptPack, Pack, open_pack
from agent.recorded import move_recorded, remove_recorded
from agent.types import Step, Trajectory

IMAGES = "images"
TRAJECTORY = "trajectory.json"
STEPS = "steps.jsonl"
SUFFIXES = (".png", ".jpg", ".webp")


class CorruptTrajectory(ValueError):
    """A stored trajectory or picture that can't be read. The message names the file and what to do."""


class TrajectoryStore:
    """The trajectories of one stage folder. Writing is atomic; two writers of different ids never disturb each other."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, trajectory_id: str) -> "Recording":
        """An episode begins: what an earlier attempt at it had recorded is forgotten."""
        folder = self.root / trajectory_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STEPS).write_bytes(b"")
        remove_recorded(folder)
        return Recording(self, trajectory_id)

    def write(self, trajectory: Trajectory, images: Mapping[str, bytes]) -> None:
        """Stores a trajectory and its pictures. Afterwards `has(trajectory.id)`; before, it is not there.

        `images` may leave out those that are stored already. Raises OSError when the disk is full: then the trajectory
        does not exist.
        """
        for sha256, data in images.items():
            self.write_image(sha256, data)
        folder = self.root / trajectory.id
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / TRAJECTORY, trajectory.model_dump_json().encode())
        (folder / STEPS).unlink(missing_ok=True)

    def take_over(self, other: "TrajectoryStore", trajectory_id: str) -> None:
        """Takes a complete trajectory out of another store on the same disk. Pictures are linked, films moved, nothing copied.

        Again is fine: whatever a crash has left half done is completed.
        """
        if other.has(trajectory_id):
            trajectory = other.read(trajectory_id)
            for sha256 in pictures_of(trajectory):
                self.link_image(other, sha256)
            move_recorded(other.root / trajectory_id, self.root / trajectory_id)
            self.write(trajectory, {})
            other.forget(trajectory_id)

    def link_image(self, other: "TrajectoryStore", sha256: str) -> None:
        """Has a picture of another store too, without copying it where the disk can link."""
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
        """Stores a picture under its hash, unless it is there."""
        if self.has_image(sha256):
            return
        path = self._image_folder(sha256) / f"{sha256}{suffix_of(data)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)

    def has(self, trajectory_id: str) -> bool:
        """Whether this trajectory is complete."""
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

    def __iter__(self) -> Iterator[Trajectory]:
        """All complete trajectories in the order of their ids, one at a time."""
        return (self.read(trajectory_id) for trajectory_id in self.ids())

    def steps_so_far(self, trajectory_id: str) -> list[Step]:
        """The steps of an episode that is being played, or that broke off; a last one that was cut off is left out."""
        try:
            lines = (self.root / trajectory_id / STEPS).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [Step.model_validate_json(line) for line in lines]

    def image_path(self, sha256: str) -> Path:
        """Where the picture with this hash lies, or would lie, outside the pack."""
        paths = [self._image_folder(sha256) / f"{sha256}{suffix}" for suffix in SUFFIXES]
        return next((path for path in paths if path.is_file()), paths[0])

    def has_image(self, sha256: str) -> bool:
        """Whether there is a picture with this hash."""
        return self.image_path(sha256).is_file() or self._packed_image(sha256) is not None

    def image(self, sha256: str) -> bytes:
        """A picture's encoded bytes. Raises `CorruptTrajectory` if they are not what the hash says, FileNotFoundError if there are none."""
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
    """An episode as it is being played: each step is on the disk when it is over, so that it can be looked at meanwhile."""

    def __init__(self, store: TrajectoryStore, trajectory_id: str) -> None:
        self.bytes = 0
        """Of its pictures so far."""
        self._store = store
        self._id = trajectory_id
        self._pictures: set[str] = set()
        self._lock = Lock()

    def add(self, step: Step, images: Mapping[str, bytes]) -> None:
        """Keeps a step and the pictures that are new. Blocks for some milliseconds: call it in a thread."""
        with self._lock:
            for sha256, data in images.items():
                self._store.write_image(sha256, data)
                self._pictures.add(sha256)
                self.bytes += len(data)
            with self._steps.open("ab") as file:
                file.write(step.model_dump_json().encode() + b"\n")

    def partial(self) -> Path:
        """Where a film or trace can be written until it is complete; `add_file` gives it its place."""
        return self._store.root / self._id / f".recorded.{secrets.token_hex(4)}.partial"

    def add_file(self, partial: Path, name: str) -> int:
        """Keeps a complete film or trace under its name, in whichever store the episode is now; returns its size. Blocks as `add`."""
        with partial.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        with self._lock:
            target = self._store.root / self._id / name
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
        if partial.parent != target.parent:  # the episode was carried over meanwhile
            with suppress(OSError):
                partial.parent.rmdir()
        return size

    def move_to(self, store: TrajectoryStore) -> None:
        """Goes on in another store: the episode was carried over an iteration's end. Blocks as `add` does."""
        with self._lock:
            old, steps = self._store, self._store.steps_so_far(self._id)
            for sha256 in self._pictures:  # the newest is of a step that is not over yet
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
    """Hashes of all pictures that a trajectory refers to: those seen, and those in its prompts."""
    seen = [*(step.observation for step in trajectory.steps), trajectory.final_observation]
    shown = {one.screenshot.sha256 for one in seen if one is not None and one.screenshot is not None}
    return shown.union(*(step.completion.images for step in trajectory.steps if step.completion is not None))


def suffix_of(data: bytes) -> str:
    """The file name's suffix for a picture, by its first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    return ".webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ".png"


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that it either has all of `data` or keeps its old content, also after a power cut."""
    # Of this call alone: episodes in other threads, and on other machines, may be writing the same picture.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
