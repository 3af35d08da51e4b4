"""A served policy has one owner: the run that publishes, until its command ends.

    STATE/policy.lock    held (flock) by the owner's process; its content names the owner: {"run": ..., "pid": ..., "since": ...}

Two runs that share a vLLM would overwrite each other's policy. The lock is released with the process, so a crash leaves
none. Workers that play the owner's shards never publish and need none.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.settings.run_folder import RunFolder
from storage.errors import LoopError

FILE = "policy.lock"
ASK_EVERY_S = 0.5
"""Seconds between two attempts to take the lock within `services.owner_wait_s`."""


class PolicyOwned(LoopError):
    """Another run owns the served policy. The message is one sentence that names it."""


class Owner(BaseModel):
    """The owner of a served policy. Example: `Owner(run="runs/demo", pid=4711, since="2026-11-28T22:54:06+00:00")`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    run: str
    """The run folder."""
    pid: int
    since: str
    """UTC, ISO 8601."""


class _Held:
    """The lock, and the number of holders in this process, all for the same run."""

    def __init__(self, file: IO[str], run: Path) -> None:
        self.file, self.run, self.count = file, run, 1


_HELD: dict[Path, _Held] = {}


@asynccontextmanager
async def policy_owned(folder: RunFolder) -> AsyncGenerator[None]:
    """The right to publish, until the context or the process ends; may be nested for the same run.

    Raises `PolicyOwned` when another run still has it after `services.owner_wait_s`.
    """
    path = folder.config.services.state_dir.absolute() / FILE
    held = await _take(path, folder)
    try:
        yield
    finally:
        held.count -= 1
        if held.count == 0:
            del _HELD[path]
            held.file.truncate(0)
            held.file.close()


def owner_of(state_dir: Path) -> Owner | None:
    """The owner of the policy that is served from a state directory; None when there is none."""
    path = state_dir.absolute() / FILE
    if path in _HELD:
        return _named(path)
    try:
        with path.open("a+") as file:
            return None if _locked(file) else _named(path)
    except FileNotFoundError:
        return None


async def _take(path: Path, folder: RunFolder) -> _Held:
    run, wait_s = folder.root.absolute(), folder.config.services.owner_wait_s
    began = time.monotonic()
    while True:
        held = _HELD.get(path)
        if held and held.run == run:
            held.count += 1
            return held
        if held is None and (file := _acquired(path, run)):
            held = _HELD[path] = _Held(file, run)
            return held
        if time.monotonic() - began >= wait_s:
            raise PolicyOwned(_refusal(path, folder, wait_s))
        await asyncio.sleep(min(ASK_EVERY_S, wait_s))


def _acquired(path: Path, run: Path) -> IO[str] | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    if not _locked(file):
        file.close()
        return None
    file.truncate(0)  # the name of a dead owner
    owner = Owner(run=str(run), pid=os.getpid(), since=datetime.now(UTC).isoformat(timespec="seconds"))
    file.write(owner.model_dump_json())
    file.flush()
    return file


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _named(path: Path) -> Owner | None:
    try:
        return Owner.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # taken just now, and the name is not written yet
        return None


def _refusal(path: Path, folder: RunFolder, wait_s: float) -> str:
    owner = _named(path)
    who = (
        f"run {Path(owner.run).name} ({owner.run}, process {owner.pid}, since {owner.since})"
        if owner
        else "another run"
    )
    waited = f" for {wait_s:g} s (services.owner_wait_s)" if wait_s else ""
    return (
        f"the policy server of {path.parent} belongs to {who}{waited}, and run {folder.name} would publish over it; wait "
        "until that run is over or stop it, set services.owner_wait_s to wait here, or take another services.state_dir"
    )
