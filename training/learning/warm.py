"""An update process that stays between the updates of a loop: it imports once, and every update is a fork of it.

    python -m training.learning.warm --policy DIR [--lora]

Reads one request per line, `{"arguments": [...], "log": FILE, "environment": {}}`: the arguments of
`training.learning.update`, the file that gets its output, and variables that name the caller's span and ids. Answers with
`{"status": N}`, the exit code, or minus the signal that ended the update. Ends when its standard input ends; a running
update dies with it.

A fork begins with the libraries in memory and with nothing else: weights, optimiser, random state and GPU memory are its own
and go with it. So an update is bit for bit that of a process of its own, and a crash of it is an exit code.
Considered: multiprocessing's fork server, which talks to its children by pickles.
"""

import argparse
import gc
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from training.dying import die_with
from training.errors import UpdateError
from training.lean_imports import hide_peft, hide_unused_packages, without_collection
from training.learning.update import main as update
from training.settings import let_idle_threads_sleep, look_for_gpus_without_starting_them, set_caller

log = logging.getLogger("training.learning.warm")


def prepare(policy: Path, *, lora: bool) -> None:
    """Imports everything that an update of this policy needs, without its weights and without starting a thread."""
    with without_collection():
        import training.learning.learner
        import training.learning.new_version
        import training.learning.scoring.reference
        import training.learning.scoring.scored  # noqa: F401
        from training.learning.models import import_classes

        if lora:
            import peft  # noqa: F401

        try:
            import_classes(policy)
        except UpdateError as error:
            log.warning("%s", error)  # the update will say so again
    # The objects of the imports stay alive: a collection in a fork would only copy their pages.
    gc.freeze()


def serve(answers: int) -> None:
    """Answers requests until standard input ends. `answers` is the descriptor that they are written to."""
    for line in sys.stdin:
        request = json.loads(line)
        status = run(request["arguments"], Path(request["log"]), request.get("environment", {}))
        os.write(answers, json.dumps({"status": status}).encode() + b"\n")


def run(arguments: Sequence[str], log: Path, caller: Mapping[str, str]) -> int:
    """Runs one update in a fork. Returns its exit code, or minus the number of the signal that ended it.

    `caller`: see `training.settings.set_caller`.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        set_caller(caller)
        _update_and_exit(arguments, log, parent)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _update_and_exit(arguments: Sequence[str], log: Path, parent: int) -> NoReturn:
    code: object = 1
    try:
        die_with(parent)
        _redirect(log)
        code = update(arguments)
    except SystemExit as error:  # of argparse
        code = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _redirect(log: Path) -> None:
    """Output to the end of the file, and no input."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m training.learning.warm", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--policy", type=Path, required=True, help="policy whose model class is imported")
    parser.add_argument("--lora", action="store_true", help="the updates train an adapter")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    let_idle_threads_sleep()
    look_for_gpus_without_starting_them()
    hide_unused_packages()
    if not options.lora:
        hide_peft()
    # Whatever a library prints goes to the log, and not among the answers.
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    prepare(options.policy, lora=options.lora)
    serve(answers)
