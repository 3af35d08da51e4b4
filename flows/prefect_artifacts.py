"""The run as an artifact in the Prefect UI: a table by iteration and links, which stages of a moment share."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from prefect.artifacts import acreate_markdown_artifact
from prefect.exceptions import PrefectException

from flows.settings.run_folder import RunFolder
from flows.tracking.background import Background
from flows.tracking.pages import dashboard_page
from flows.tracking.summary import Row, rows
from storage.stages import Stage

logger = logging.getLogger(__name__)

ANSWER_S = 30.0
"""Seconds that the server may take."""
SHOW_EVERY_S, SHOWN_S = 3.0, 30.0
"""Seconds between two versions of the run's artifact, and how long the last one may take when the loop ends."""


@asynccontextmanager
async def run_shown(folder: RunFolder) -> AsyncGenerator[Background]:
    """Writes the run's artifact beside the loop: at the start, after each `wake`, and at the end."""

    async def show() -> float:
        await show_run(folder)
        return SHOW_EVERY_S

    artifact = Background(show, name="artifact")
    artifact.wake()  # a run that is resumed may have stages that were not shown
    try:
        yield artifact
    except Exception:  # not a cancellation or a signal: such a process is to leave within seconds
        await _finished(artifact)
        raise
    await _finished(artifact)


async def _finished(artifact: Background) -> None:
    try:
        async with asyncio.timeout(SHOWN_S):
            await artifact.finish()
    except TimeoutError:
        logger.warning("the run's summary in Prefect took more than %.0f s and may lack the last stages", SHOWN_S)


async def show_run(folder: RunFolder) -> None:
    """Writes a new version of the run's artifact. A server that does not take it costs a warning, never the run."""
    try:
        # In a thread: a signal that comes while the loop's own thread is in a task beside the flow would end that task only.
        markdown = await asyncio.to_thread(summary, folder)
        async with asyncio.timeout(ANSWER_S):
            await acreate_markdown_artifact(
                key=key_of(folder.name), markdown=markdown, description=f"Run {folder.name} by iteration"
            )
    except (PrefectException, httpx.HTTPError, TimeoutError) as error:
        logger.warning("the summary of %s could not be shown in Prefect: %s", folder.name, error)


def key_of(run: str) -> str:
    """The artifact's key: Prefect takes lowercase letters, digits and dashes. Example: `run-demo-2`."""
    return "run-" + re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")


def summary(folder: RunFolder) -> str:
    """The table by iteration and the links, as Markdown."""
    head = [
        "iteration",
        "train success",
        "held-out success",
        "mean steps",
        *(f"{stage.replace('_', ' ')} s" for stage in Stage),
        "rollout beside the update before s",
    ]
    lines = [f"| {' | '.join(head)} |", f"|{'---:|' * len(head)}", *map(_line, rows(folder))]
    record = folder.record()
    links = [f"- run folder: `{folder.root}`"]
    if record.mlflow_run_id and record.mlflow_uri:
        links.append(f"- [MLflow]({record.mlflow_uri}/#/runs/{record.mlflow_run_id})")
    if page := dashboard_page(folder):
        links.append(f"- [dashboard]({page})")
    if record.forked_from:
        links.append(f"- forked from {record.forked_from}")
    return "\n".join([*lines, "", *links])


def _line(row: Row) -> str:
    cells = [
        str(row.iteration),
        _shown(row.train_success, ".1%"),
        _shown(row.heldout_success, ".1%"),
        _shown(row.steps_mean, ".2f"),
        *(_shown(row.seconds.get(stage), ".1f") for stage in Stage),
        _shown(row.early_s or None, ".1f"),
    ]
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
