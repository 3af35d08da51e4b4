"""Work of the loop on another worker, a rank or an update: started, waited for, and found when it is lost with its worker, which
Prefect never notices.

    ranks/01/heartbeat.json, iterations/0003/policy_update/rank-00/heartbeat.json       see storage/heartbeat.py

A rank that no worker has started yet has no heartbeat, and is waited for: workers may be busy or about to be started. One
that has ended while its machine was cut off from Prefect has told its end to the folder only.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.deployments import arun_deployment
from prefect.settings import get_current_settings

from flows.services.prefect_api import PrefectError, PrefectServer
from storage.heartbeat import FILE, lost, read_heartbeat

logger = logging.getLogger(__name__)

POLL_S = 1.0
"""Seconds between two polls of the rank's state."""
UNTOLD_S = 120.0
"""Seconds between the last heartbeat of a rank that has ended and the end of the wait for Prefect to hear of it."""


def server_url() -> str:
    """The address of the Prefect server that this process talks to."""
    return (get_current_settings().api.url or "").removesuffix("/api")


def forget_beats(beats: Path) -> None:
    """Removes the heartbeat of an earlier process, which must not count for the next one. Makes the folder."""
    beats.mkdir(parents=True, exist_ok=True)
    (beats / FILE).unlink(missing_ok=True)


async def on_worker(deployment: str, parameters: dict[str, Any], beats: Path) -> str | None:
    """Has a worker run a deployment; returns how it failed, None if it completed. Cancelled, it cancels the flow run: no worker
    may begin it later, beside a resumed loop."""
    forget_beats(beats)
    started = await arun_deployment(deployment, parameters=parameters, timeout=0, as_subflow=True)
    try:
        return await end_of(started.id, beats, server_url())
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.to_thread(_cancel, str(started.id)))
        raise


async def end_of(
    flow_run_id: UUID, beats: Path, server_url: str, *, poll_s: float = POLL_S, untold_s: float = UNTOLD_S
) -> str | None:
    """Waits for the rank's flow run; returns how it failed, None if it completed. Marks a lost one as crashed, and one that
    ended `untold_s` seconds ago without telling Prefect, which counts as lost too: what it stored is not done again."""
    async with get_client() as client:
        while True:
            state = (await client.read_flow_run(flow_run_id)).state
            if state is not None and state.is_final():
                return None if state.is_completed() else f"ended as {state.name}"
            if beat := lost(beats):
                await asyncio.to_thread(_mark_crashed, server_url, str(flow_run_id))
                return f"was lost with {beat}"
            if (beat := read_heartbeat(beats)) and beat.ended and time.time() - beat.at > untold_s:
                await asyncio.to_thread(_mark_crashed, server_url, str(flow_run_id))
                return f"was lost to Prefect when {beat} ended"
            await asyncio.sleep(poll_s)


def _cancel(flow_run_id: str) -> None:
    try:
        with PrefectServer(server_url()) as server:
            server.cancel(flow_run_id)
    except PrefectError as error:
        logger.warning("%s; flow run %s may still run on its worker", error, flow_run_id)


def _mark_crashed(server_url: str, flow_run_id: str) -> None:
    try:
        with PrefectServer(server_url) as server:
            server.bury([flow_run_id])
    except PrefectError as error:  # a resume marks it; the shard is played again in any case
        logger.warning("%s; the flow run of the lost rank may stay Running", error)
