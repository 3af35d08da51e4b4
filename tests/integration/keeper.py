"""Keeps a command running, as systemd does with `Restart=always` and `KillMode=control-group`: `python keeper.py COMMAND...`."""

import contextlib
import os
import signal
import subprocess
import sys
import time

PAUSE_S = 1.0
"""Seconds before the next start."""


def main(command: list[str]) -> None:
    """Starts the command again and again; what it leaves when it ends is killed before."""
    while True:
        process = subprocess.Popen(command, start_new_session=True)
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1:])
