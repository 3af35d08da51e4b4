"""The peak memory of an update is its own, and not that of the process that started it."""

import subprocess
import sys

PROGRAM = "from training.peak_memory import peak_memory_bytes; print(peak_memory_bytes())"


def test_a_large_parent_does_not_count() -> None:
    held = bytearray(b"x" * 300_000_000)
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert 1_000_000 < int(found.stdout) < 200_000_000
    del held
