"""Runs the tests over three processes, and the few that failed once more, alone: `python -m scripts.suite [PYTEST ARGUMENTS]`.

A test with real browsers, services and models can fail because the machine was busy with the rest of the suite. Alone it
has the machine and newly started fixtures. A real fault fails again; more than `FEW` failures are never tried again.
Each test that needed this is named in the last lines.

Three processes for two cores, because the tests of browsers and services wait for deadlines and restarts a good part of their time.
"""

import json
import subprocess
import sys
from pathlib import Path

FEW = 5
FAILED = Path(".pytest_cache/v/cache/lastfailed")
PYTEST = [sys.executable, "-m", "pytest"]
SPREAD = ["-n", "3", "--dist", "loadscope", "--no-loadscope-reorder", "--cache-clear"]
SLOW = ["--durations", "60", "--durations-min", "5"]
"""Names the slow tests at the end: candidates for `make chaos`, or for a shared start."""
TESTS_FAILED = 1
"""Exit code of pytest when all tests ran and some failed; the other codes are never tried again."""


def main(arguments: list[str]) -> int:
    """Exit code for the shell: pytest's, or that of the second run."""
    status = subprocess.call([*PYTEST, *SPREAD, *SLOW, *arguments])
    failed = list(json.loads(FAILED.read_text())) if status == TESTS_FAILED and FAILED.exists() else []
    if not 0 < len(failed) <= FEW:
        return status
    print(f"\n{len(failed)} failed beside the others; now alone:", *failed, sep="\n  ", flush=True)
    status = subprocess.call([*PYTEST, *failed])
    verdict = "passed alone" if status == 0 else "failed alone too"
    print(f"{verdict}:", *failed, sep="\n  ", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
