"""Places where a crash test can make this process die, wait or run out of disk.

`RL_LOOP_FAILPOINT=checkpoint.before_manifest:kill` kills the process there, `...:sleep=30` waits 30 s, `...:disk_full`
raises what a full disk raises. Places: `update.before_train`, `update.before_write`, `checkpoint.half_file`,
`checkpoint.before_manifest`, `checkpoint.before_rename`, `checkpoint.after_rename`, `update.before_report`,
`publish.before_reload`, `publish.after_reload`, `transfer.first_tensor`, `judge.before_done`.
"""

import errno
import os
import signal
import time

from training import settings


def reach(place: str) -> None:
    """Carries out the failure that the environment sets for this place; ordinarily nothing."""
    wanted, _, action = settings.failpoint().partition(":")
    if wanted != place:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action.startswith("sleep="):
        time.sleep(float(action.removeprefix("sleep=")))
    elif action == "disk_full":
        raise OSError(errno.ENOSPC, "No space left on device")
    else:
        raise ValueError(
            f"RL_LOOP_FAILPOINT: expected kill, sleep=SECONDS or disk_full after {place}:, found {action!r}"
        )
