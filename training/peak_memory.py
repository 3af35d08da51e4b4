"""The largest resident size that this process has had."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory_bytes() -> int:
    """`VmHWM` of Linux; elsewhere `ru_maxrss`.

    On Linux `ru_maxrss` of a program also counts the process that started it, as large as it was at that moment: getrusage
    keeps the maximum over an exec.
    """
    try:
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(line.split()[1]) * 1024
