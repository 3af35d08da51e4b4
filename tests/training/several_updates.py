"""Makes several updates in one process, for tests under torchrun: a start costs seconds. Argument: a JSON file of command lines."""

import json
import os
import sys
from pathlib import Path

from training.lean_imports import hide_unused_packages
from training.learning.processes.ranks import gathered
from training.learning.update import main

if __name__ == "__main__":
    hide_unused_packages()
    for arguments in json.loads(Path(sys.argv[1]).read_text()):
        if code := main(arguments):
            os._exit(code)
        gathered(code)  # the next update reads what the first process has written
    os._exit(0)
