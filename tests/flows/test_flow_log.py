"""The log of a flow's process: one line per event, with ids, beside Prefect's own."""

import io
import logging
import re
from collections.abc import Generator

import pytest
from prefect.logging.handlers import PrefectConsoleHandler

from flows.flow_log import log_with_ids
from telemetry.ids import bound
from telemetry.log_format import OURS

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


@pytest.fixture
def console() -> Generator[io.StringIO]:
    """Prefect's handler of the root logger, and `flows` as Prefect sets up an extra logger; all is put back at the end."""
    text = io.StringIO()
    handler = PrefectConsoleHandler(stream=text)
    handler.setFormatter(logging.Formatter("as prefect writes: %(message)s"))
    loggers = [logging.getLogger(name) for name in OURS]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    logging.getLogger().addHandler(handler)
    logging.getLogger("flows").propagate = False
    yield text
    logging.getLogger().removeHandler(handler)
    for logger, level, propagate in before:
        logger.setLevel(level)
        logger.propagate = propagate


def test_our_lines_have_ids_and_others_are_left_alone(console: io.StringIO) -> None:
    log_with_ids()
    log_with_ids()
    with bound(run="demo", iteration=3):
        logging.getLogger("flows.stages.loop").info("demo: %s begins", "rollout")
        logging.getLogger("a.library").warning("beginning")
    logging.getLogger("rollouts.player").warning("no ids here")
    first, second, third = console.getvalue().splitlines()
    assert re.fullmatch(LINE + r"INFO flows\.stages\.loop \[run=demo iteration=3\] demo: rollout begins", first)
    assert second == "as prefect writes: beginning"
    assert re.fullmatch(LINE + r"WARNING rollouts\.player no ids here", third)
