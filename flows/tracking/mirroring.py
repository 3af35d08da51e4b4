"""Copies finished stages of a run to `storage.mirror`, in the background of the loop.

At the start the run's own files are copied at once, so that a wrong address, or another machine that goes on with the run, is
found before anything is played. Later failures cost a warning: what is missing is copied after the next stage, or at the end.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from flows.settings.run_folder import RunFolder
from flows.tracking.background import Background
from storage.mirror.errors import MirrorError, MirrorTaken
from storage.mirror.mirror import push
from storage.mirror.objects import ObjectStore
from training.checkpointing.checkpoints import checkpoint_path, versions

logger = logging.getLogger(__name__)

CLOSE_S = 600.0
"""Seconds that the last copy may take when a loop ends."""


class Mirror:
    """The copier of one run. Owned by the holder of the folder's lock."""

    def __init__(self, folder: RunFolder, store: ObjectStore | None) -> None:
        self._folder, self._store = folder, store
        self._background = Background(self._copy, name="mirror")
        self._taken: MirrorTaken | None = None

    def wake(self) -> None:
        """Requests a copy after a stage. Returns at once. Raises `MirrorTaken` when another machine goes on with the run."""
        if self._taken:
            raise self._taken
        if self._store:
            self._background.wake()

    async def close(self, *, complete: bool) -> None:
        """Waits for the running copy; with `complete` looks at every folder again and copies what changed since."""
        if self._store is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._background.finish()
                if complete and not self._taken:
                    await asyncio.to_thread(push, self._store, self._folder.root, folders_of(self._folder), again=True)
        except (MirrorError, OSError) as error:
            logger.warning("%s; rl-loop resume %s copies what is missing", error, self._folder.name)
        except TimeoutError:
            logger.warning("the copy to %s took more than %.0f s and is not complete", self._store.address, CLOSE_S)

    async def _copy(self) -> float:
        if self._store is None or self._taken:
            return 0.0
        try:
            found = await asyncio.to_thread(push, self._store, self._folder.root, folders_of(self._folder))
        except MirrorTaken as error:
            self._taken = error
        except (MirrorError, OSError) as error:  # OSError: a policy was pruned while it was copied
            logger.warning("%s; what is missing is copied at the next chance", error)
        else:
            logger.info("%d folders with %d files were copied to %s", *found, self._store.address)
        return 0.0


@asynccontextmanager
async def mirrored(folder: RunFolder) -> AsyncGenerator[Mirror]:
    """The copier of a run while its loop runs; it does nothing without `storage.mirror`.

    Raises `MirrorError` when the store can't be written at the start, `MirrorTaken` when another folder has the run.
    """
    address = folder.config.storage.mirror
    store = await asyncio.to_thread(ObjectStore, address) if address else None
    if store:
        await asyncio.to_thread(push, store, folder.root, ())
    mirror = Mirror(folder, store)
    try:
        yield mirror
    except Exception:  # not a cancellation or a signal: such a process is to leave within seconds
        await mirror.close(complete=False)
        raise
    await mirror.close(complete=True)


def folders_of(folder: RunFolder) -> list[str]:
    """The folders that may be copied, below the run folder: finished stages, seconds of iterations, policies.

    A name with a slash at its end stands for the folder's own files, without those below it.
    """
    stages = [folder.stage_dir(report.iteration, report.stage) for report in folder.reports()]
    timed = [path for path in folder.iteration_dirs() if folder.iteration_file(int(path.name)).exists()]
    policies = [checkpoint_path(folder.policies, version) for version in versions(folder.policies)]
    named = [str(path.relative_to(folder.root)) for path in (*stages, *policies)]
    return named + [f"{path.relative_to(folder.root)}/" for path in timed]
