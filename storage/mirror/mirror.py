"""Copies the finished folders of a run to a store, and makes a run folder from them elsewhere.

    finished stage ──> contents that the store lacks ──> list of the folder's files ──> head, last
                                                                                          │
    another machine: fetch ──> every content checked against its name ──> run folder ──> `rl-loop resume`

Whoever reads a head finds everything that it names. A copier that dies leaves contents that no head names yet; the next one
uses them. The head names its writer: after a fetch that is the new folder, and the old one is refused from then on.
"""

import secrets
import shutil
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically
from storage.mirror.errors import MirrorError, MirrorTaken
from storage.mirror.objects import ObjectStore
from storage.mirror.trees import Head, Tree, digest_of, files_of, parse, signature_of

FILE = "mirror.json"
AT_ONCE = 16
"""Contents that are copied at the same time."""
ROOT = ""
"""The run folder's own files, in a head."""


class _Sent(BaseModel):
    """A folder that was sent: its state then, and its list in the store."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    signature: str
    tree: str


class MirrorState(BaseModel):
    """Content of mirror.json in a run folder."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    address: str
    writer: str
    sent: dict[str, _Sent] = {}


class Pushed(NamedTuple):
    """Result of a copy."""

    folders: int
    """Folders that were new or had changed."""
    contents: int
    """Files that were sent to the store, unless it had them."""


def push(store: ObjectStore, root: Path, folders: Sequence[str], *, again: bool = False) -> Pushed:
    """Copies the folders (paths below the run folder) and the run folder's own files, then replaces the run's head.

    A folder that was copied before is looked at only with `again`; one that is not named now stays copied until then. A name
    with a slash at its end, or none, stands for the folder's own files. Raises `MirrorTaken` when another folder writes the
    run there, and `MirrorError` when the store can't be written: then its head is the one before.
    """
    state = _state(store, root)
    check_writer(store, root, state)
    sent = {} if again else dict(state.sent)
    changed = contents = 0
    for name in (*folders, ROOT):
        known, folder = state.sent.get(name), root / name
        if known and not again and name != ROOT:
            continue
        signature = signature_of(folder, deep=is_deep(name))
        if known and known.signature == signature:
            sent[name] = known
            continue
        files = list(files_of(folder, deep=is_deep(name)))
        paths = [path.relative_to(folder).as_posix() for path in files]
        tree = Tree(files=dict(zip(paths, _sent(store, files), strict=True)))
        sent[name] = _Sent(signature=signature, tree=store.put(tree.model_dump_json().encode()))
        changed, contents = changed + 1, contents + len(files)
    if sent != state.sent:
        _write_head(store, root.name, state.writer, {name: one.tree for name, one in sent.items()})
        state.sent = sent
        write_atomically(root / FILE, state.model_dump_json().encode(), durable=False)
    return Pushed(changed, contents)


def fetch(store: ObjectStore, run: str, runs_dir: Path) -> Path:
    """Makes the run folder of a mirrored run, which this folder then goes on with. Returns its path.

    Raises `MirrorError` when there is no such run, a content is missing or damaged, or the folder exists already.
    """
    root = runs_dir / run
    if root.exists() or root.is_symlink():
        raise MirrorError(f"{root} exists already; remove it, or choose another folder of runs with runs_dir=PATH")
    head = read_head(store, run)
    if head is None:
        raise MirrorError(f"no run {run} in {store.address}; runs there: {', '.join(store.runs()) or 'none yet'}")
    partial = runs_dir / f".{run}.{secrets.token_hex(4)}.partial"
    state = MirrorState(address=store.address, writer=secrets.token_hex(8))
    try:
        for name, digest in head.folders.items():
            _fetch_folder(store, digest, partial / name)
        for name, digest in head.folders.items():
            state.sent[name] = _Sent(signature=signature_of(partial / name, deep=is_deep(name)), tree=digest)
        write_atomically(partial / FILE, state.model_dump_json().encode(), durable=False)
        _write_head(store, run, state.writer, head.folders)
        partial.rename(root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return root


def read_head(store: ObjectStore, run: str) -> Head | None:
    """The head of a run, None if the store has no such run. Raises `MirrorError`."""
    data = store.head(run)
    return None if data is None else cast(Head, parse(data, Head, f"the head of {run} in {store.address}"))


def is_deep(name: str) -> bool:
    """True if a folder's name stands for all that is below it."""
    return name != ROOT and not name.endswith("/")


def check_writer(store: ObjectStore, root: Path, state: MirrorState) -> None:
    """Raises `MirrorTaken` unless the run's head is this folder's, or there is none."""
    head = read_head(store, root.name)
    if head is not None and head.writer != state.writer:
        raise MirrorTaken(
            f"{store.address} has a run {root.name} that {head.host} wrote at {head.written_at} from another folder; only one "
            "machine goes on with a run: stop it here, or give this run another name or storage.mirror"
        )


def _state(store: ObjectStore, root: Path) -> MirrorState:
    """The content of mirror.json; a new one for a run that was never copied there."""
    try:
        state = MirrorState.model_validate_json((root / FILE).read_bytes())
        if state.address == store.address:
            return state
    except (OSError, ValidationError):
        pass
    state = MirrorState(address=store.address, writer=secrets.token_hex(8))
    write_atomically(root / FILE, state.model_dump_json().encode())  # before the first head names this writer
    return state


def _sent(store: ObjectStore, files: Sequence[Path]) -> list[str]:
    """Stores the files' contents. Returns their digests."""

    def send(path: Path) -> str:
        digest = digest_of(path)
        store.put_file(path, digest)
        return digest

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mirror") as threads:
        return list(threads.map(send, files))


def _fetch_folder(store: ObjectStore, digest: str, folder: Path) -> None:
    tree = cast(Tree, parse(store.get(digest), Tree, f"{digest} in {store.address}"))
    folder.mkdir(parents=True, exist_ok=True)

    def get(file: tuple[str, str]) -> None:
        target = folder / file[0]
        target.parent.mkdir(parents=True, exist_ok=True)
        store.fetch(file[1], target)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mirror") as threads:
        list(threads.map(get, tree.files.items()))


def _write_head(store: ObjectStore, run: str, writer: str, folders: dict[str, str]) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    head = Head(run=run, writer=writer, host=socket.gethostname(), written_at=now, folders=folders)
    store.write_head(run, head.model_dump_json(indent=1).encode())
