"""Ties the life of this process to that of its parent."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Asks the kernel (Linux `prctl`) for SIGKILL when the parent dies; ends this process if it is dead already.

    An update that goes on after its loop was killed would write a version beside the loop that follows.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:  # it died before the call above, and the signal will never come
        os.kill(os.getpid(), signal.SIGKILL)
