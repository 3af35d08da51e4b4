"""Errors that `rl-loop` shows: one sentence and a non-zero exit for every expected mistake, never a traceback."""


class LoopError(Exception):
    """Root of the errors that a person can act on. `str(error)` says what was expected, what was found and what to do.

    LoopError
    ├── ConfigError      flows/settings/loop_config.py       the configuration cannot be used
    ├── PreflightError   flows/starting/preflight.py    this machine lacks something that the run needs
    ├── ServicesError    storage/errors.py       a service cannot be started, found or stopped
    ├── RunNameError     storage/names.py    this is no name of a run
    ├── RunFolderError   storage/errors.py       the run folder cannot be used as asked
    ├── MirrorError      storage/mirror/errors.py    the copy of a run can't be read or written
    ├── PolicyOwned      flows/policy/ownership.py    another run owns the served policy
    └── StageError       flows/policy/waiting.py      a stage could not be finished
    """


class ServicesError(LoopError):
    """The services cannot be started, found or stopped. The message is one sentence."""


class RunFolderError(LoopError):
    """The run folder cannot be used as asked. The message is one sentence."""
