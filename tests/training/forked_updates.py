"""Makes updates in forks of one process, for tests of many updates: a start with torch and TRL costs seconds, a fork nothing.

The forks are those of `update.keep_warm`. Argument: a model directory. Reads a line per call, `{"updates": [{"arguments": [..],
"log": FILE, "environment": {}}, ..]}`: updates that run at the same time, each with variables of its own. Answers with a line,
their exit codes, or minus the signals that ended them.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.dying import die_with
from training.lean_imports import hide_peft, hide_unused_packages
from training.learning.warm import prepare, run


def fork(arguments: Sequence[str], log: str, environment: Mapping[str, str]) -> int:
    """The process id of a fork that makes an update in another one, with these variables."""
    parent = os.getpid()
    if child := os.fork():
        return child
    die_with(parent)
    os.environ.update(environment)
    status = run(arguments, Path(log), {})
    os._exit(status if status >= 0 else 128 - status)  # as a shell gives the signal


def ended(children: Sequence[int]) -> list[int]:
    """Waits for the updates, and returns their codes. One that fails ends the others, which would wait for it."""
    codes: dict[int, int] = {}
    while len(codes) < len(children):
        child, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        codes[child] = 128 - code if code > 128 else code
        for other in set(children) - codes.keys() if code else ():
            os.kill(other, signal.SIGKILL)  # its update dies with it
    return [codes[child] for child in children]


if __name__ == "__main__":
    hide_unused_packages()
    hide_peft()
    # Whatever a library prints goes to the log, and not among the answers.
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    prepare(Path(sys.argv[1]), lora=False)
    for line in sys.stdin:
        children = [fork(**one) for one in json.loads(line)["updates"]]
        os.write(answers, json.dumps(ended(children)).encode() + b"\n")
