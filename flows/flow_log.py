"""The log of a flow's process: lines of this project in its own format, with their ids; Prefect's lines as Prefect has them.

The process writes to standard error, which the worker's log keeps (`rl-loop logs worker`). Lines of `flows` are also shown in
the Prefect UI (PREFECT_LOGGING_EXTRA_LOGGERS).
"""

import logging

from prefect.logging.handlers import PrefectConsoleHandler

from telemetry.log_format import OURS, WithIds


class _OfBoth(logging.Formatter):
    """Formats the lines of this project with their ids, and all others as before."""

    def __init__(self, others: logging.Formatter | None) -> None:
        super().__init__()
        self._ours, self._others = WithIds(), others or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.partition(".")[0] in OURS
        return (self._ours if ours else self._others).format(record)


def log_with_ids() -> None:
    """Starts this project's log in a flow's process. May be called again."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler) and not isinstance(handler.formatter, _OfBoth):
            handler.setFormatter(_OfBoth(handler.formatter))
    for name in OURS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = True  # Prefect takes the lines of its extra loggers from the console
