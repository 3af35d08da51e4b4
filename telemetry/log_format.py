"""The log format of every process: time, level, logger, ids, message.

    2026-11-30 03:05:12,123 WARNING rollouts.player [run=demo iteration=3 trajectory=i0003-click-test.7-m02] no episode ..

While a span is active (`telemetry.spans`), its trace id is one of the ids, so that a line leads to its trace.
"""

import logging
import re
import sys

from telemetry.ids import ids
from telemetry.spans import current

FORMAT = "%(asctime)s %(levelname)s %(name)s%(ids)s %(message)s"
OURS = ("agent", "browser_service", "environments", "flows", "judging", "rollouts", "storage", "telemetry", "training")
"""The top loggers of this project."""


_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+ (?:\[[^\]]*\] )?")


def message_of(line: str) -> str:
    """The message of a line in this format; any other line is returned as it is."""
    return _LINE.sub("", line, count=1) if _LINE.match(line) else line


class WithIds(logging.Formatter):
    """Formats a record with the ids of the block that logs it. Needs `%(ids)s` in its format."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The record's line, without a traceback."""
        record.ids = bracketed()
        return super().formatMessage(record)


def bracketed() -> str:
    """The current ids as in a log line, with a space before; empty without ids."""
    named = [f"{name}={value}" for name, value in ids().items()]
    if trace := current().trace_id:
        named.append(f"trace={trace}")
    return f" [{' '.join(named)}]" if named else ""


def start_log(level: str | int = logging.INFO) -> None:
    """Starts the log of a process on standard error, unless it has one."""
    logging.basicConfig(level=level.upper() if isinstance(level, str) else level, handlers=[_handler()])


def _handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WithIds())
    return handler
