"""Objects below an address: contents by their sha256, and one small head for each run. fsspec does the transport.

    ADDRESS/blobs/9f/9f86d081..     a file's content, or the list of a folder's files; written once, shared by all runs
    ADDRESS/runs/demo.json          the head of a run; written last, replaced as a whole

A call that fails is repeated a few times; then the store counts as away.
"""

import hashlib
import secrets
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec
from fsspec.core import url_to_fs

from storage.atomic import replacing
from storage.mirror.errors import MirrorError

TRIES, PAUSE_S, LONGEST_PAUSE_S = 12, 0.2, 5.0
"""Attempts of a call, and seconds before the second one; doubled for each further one, up to the last."""
CONNECT_S, ANSWER_S = 10, 60
"""Seconds to open a connection, and for a part of an answer (S3)."""
BLOCK = 1 << 20

T = TypeVar("T")


def check_address(address: str) -> str:
    """Returns the address without a slash at its end. Raises ValueError when it can't be one of a mirror."""
    parts = urlsplit(address)
    if parts.scheme not in fsspec.available_protocols() or not (parts.netloc or parts.path.strip("/")):
        raise ValueError(f"expected an address such as s3://bucket/folder or file:///mnt/copies, found {address!r}")
    if parts.username or parts.password or parts.query:
        raise ValueError(
            "an address has no secret in it; credentials come from the environment (AWS_ACCESS_KEY_ID, ..)"
        )
    return address.rstrip("/")


class ObjectStore:
    """The objects below one address. Its methods block, are safe in threads, and raise `MirrorError`."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._fs, self._root = url_to_fs(address, **_options(address))
        except ImportError as error:
            raise MirrorError(
                f"{address} needs a package that is not installed ({error}); run pip install -e '.[s3]' -c constraints.txt"
            ) from error

    def put(self, data: bytes) -> str:
        """Stores a content unless it is there. Returns its sha256."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._blob(sha256)
        self._patient(f"write {path}", lambda: self._fs.exists(path) or self._written(path, data))
        return sha256

    def put_file(self, path: Path, sha256: str) -> None:
        """Stores a file with a known digest unless it is there."""
        blob = self._blob(sha256)
        self._patient(f"write {blob}", lambda: self._fs.exists(blob) or self._uploaded(path, blob))

    def get(self, sha256: str) -> bytes:
        """A content. Raises `MirrorError` if it is missing or is not what its name says."""
        data = self._patient(f"read {self._blob(sha256)}", lambda: self._fs.cat_file(self._blob(sha256)))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise MirrorError(f"{self._blob(sha256)} is damaged: its content does not match its name")
        return data

    def fetch(self, sha256: str, target: Path) -> None:
        """Writes a content to a file, atomically. Raises as `get`."""
        blob = self._blob(sha256)

        def copied() -> str:
            hashed = hashlib.sha256()
            with self._fs.open(blob, "rb") as source, partial.open("wb") as file:
                while block := source.read(BLOCK):
                    hashed.update(block)
                    file.write(block)
            return hashed.hexdigest()

        with replacing(target, durable=False) as partial:
            if self._patient(f"read {blob}", copied) != sha256:
                raise MirrorError(f"{blob} is damaged: its content does not match its name")

    def head(self, run: str) -> bytes | None:
        """The head of a run, None if there is none."""
        path = self._head(run)

        def read() -> bytes | None:
            self._fs.invalidate_cache()
            return self._fs.cat_file(path) if self._fs.exists(path) else None

        return self._patient(f"read {path}", read)

    def write_head(self, run: str, data: bytes) -> None:
        """Replaces the head of a run."""
        self._patient(f"write {self._head(run)}", lambda: self._written(self._head(run), data))

    def runs(self) -> list[str]:
        """The names of the runs that have a head."""
        folder = f"{self._root}/runs"

        def listed() -> list[str]:
            self._fs.invalidate_cache()
            return self._fs.ls(folder, detail=False) if self._fs.exists(folder) else []

        return sorted(Path(path).stem for path in self._patient(f"list {folder}", listed))

    def _blob(self, sha256: str) -> str:
        return f"{self._root}/blobs/{sha256[:2]}/{sha256}"

    def _head(self, run: str) -> str:
        return f"{self._root}/runs/{run}.json"

    def _written(self, path: str, data: bytes) -> None:
        with self._whole(path) as target:
            self._fs.pipe_file(target, data)

    def _uploaded(self, source: Path, path: str) -> None:
        with self._whole(path) as target:
            self._fs.put_file(str(source), target)

    @contextmanager
    def _whole(self, path: str) -> Generator[str]:
        """The path to write to. An object appears as a whole by itself, a file by its rename."""
        protocol = self._fs.protocol
        if "file" not in ((protocol,) if isinstance(protocol, str) else protocol):
            yield path
            return
        partial = f"{path}.{secrets.token_hex(4)}.partial"
        yield partial
        self._fs.mv(partial, path)

    def _patient(self, what: str, call: Callable[[], T]) -> T:
        for tried in range(1, TRIES + 1):
            try:
                return call()
            except FileNotFoundError as error:
                raise MirrorError(f"{self.address}: can't {what}: it is not there") from error
            except _refusals() as error:
                raise MirrorError(f"{self.address}: can't {what}: {error}; check the credentials") from error
            except _faults() as error:
                if tried == TRIES:
                    words = " ".join(str(error).split())[:200] or type(error).__name__
                    raise MirrorError(f"{self.address}: can't {what} in {TRIES} tries: {words}") from error
                time.sleep(min(LONGEST_PAUSE_S, PAUSE_S * 2 ** (tried - 1)))
        raise AssertionError("unreachable")


def _options(address: str) -> dict[str, Any]:
    match urlsplit(address).scheme:
        case "s3" | "s3a":
            # Tries are ours, so that every kind of store has as many.
            limits = {"connect_timeout": CONNECT_S, "read_timeout": ANSWER_S, "retries": {"max_attempts": 1}}
            return {"config_kwargs": limits}
        case "file" | "local":
            return {"auto_mkdir": True}
        case _:
            return {}


def _faults() -> tuple[type[BaseException], ...]:
    """Errors of transport. botocore's are no OSError; it is loaded only where S3 is used."""
    botocore = sys.modules.get("botocore.exceptions")
    return (OSError, botocore.BotoCoreError) if botocore else (OSError,)


def _refusals() -> tuple[type[BaseException], ...]:
    """Errors that another try does not mend."""
    botocore = sys.modules.get("botocore.exceptions")
    return (PermissionError, botocore.NoCredentialsError) if botocore else (PermissionError,)
