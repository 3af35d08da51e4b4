"""Runs a command while busy loops take the processors: `python -m scripts.crowd [--per-core 2] COMMAND...`.

For tests: one that passes on an idle machine only because of its timing fails here. The loops end with the command,
with Ctrl+C, with the death of this process in any way, and after `--limit-s` at the latest.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

BUSY = """
import os, time
end = time.monotonic() + {limit_s}
while os.getppid() == {parent} and time.monotonic() < end:
    sum(range(200_000))
"""
"""A loop detects within milliseconds that its parent has ended, also by a kill."""


@contextmanager
def crowd(loops: int, *, limit_s: float) -> Generator[list[int]]:
    """Runs so many busy processes and yields their ids; all are ended afterwards."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(loops):
            # In a separate session: Ctrl+C goes to the command, and the loops are ended below.
            loop = BUSY.format(limit_s=limit_s, parent=os.getpid())
            running.append(subprocess.Popen([sys.executable, "-c", loop], start_new_session=True))
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


def main() -> int:
    """Runs the command and returns its status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.crowd", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--per-core", type=int, default=2, help="busy loops for each processor")
    parser.add_argument("--limit-s", type=float, default=7_200, help="seconds after which the loops end in any case")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("expected a command, for example: python -m pytest tests/agent")
    cores = len(os.sched_getaffinity(0))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with crowd(options.per_core * cores, limit_s=options.limit_s):
        command = subprocess.Popen(options.command)
        try:
            return command.wait()
        except KeyboardInterrupt:  # the command received it too, and ends in its own way
            return command.wait()
        finally:
            if command.poll() is None:
                command.terminate()
                command.wait()


if __name__ == "__main__":
    sys.exit(main())
