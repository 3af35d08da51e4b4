"""Run a command that dies with the process that started it: `python tether.py PARENT_PID COMMAND...`.

It asks the kernel for SIGKILL on the death of its parent (Linux `prctl(PR_SET_PDEATHSIG)`, kept across `exec`), then
becomes the command. The kernel watches the parent's *thread*: start it from the main thread. It is run by path and
imports no other module of this project, so it costs a bare interpreter start (some 15 ms).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to `arguments[0]` (a pid) and become `arguments[1:]`."""
    parent, command = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(
            ctypes.get_errno(),
            "prctl(PR_SET_PDEATHSIG) was refused; a crash of the parent would leave this process behind",
        )
    # If the parent died before the call above, the signal will never come.
    if os.getppid() != parent:
        sys.exit(f"process {parent} ended before its child started")
    # A shell that starts programs with `&` makes them ignore SIGINT; the command must react to it again.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
