"""Work of the loop on another worker, a rank or an update: started, waited for, and found when it is lost with its worker, which
Prefect never notices.

    ranks/01/4fd1../heartbeat.json, iterations/0003/policy_update/rank-00/heartbeat.json       see storage/heartbeat.py

A rank that no worker has started yet has no heartbeat, and is waited for: workers may be busy or about to be started. One
that has ended while its machine was cut off from Prefect has told its end to the folder only.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.deployments import arun_deployment
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings
from prefect.states import State

from flows.services.prefect_api import PrefectError, PrefectServer, started_by
from storage.heartbeat import FILE, lost, read_heartbeat

logger = logging.getLogger(__name__)

POLL_S = 1.0
"""Seconds between two polls of the rank's state."""
UNTAKEN_S = 60.0
"""Seconds between two warnings that no worker has taken up the work."""
UNTOLD_S = 120.0
"""Seconds between the last heartbeat of a rank that has ended and the end of the wait for Prefect to hear of it."""


def server_url() -> str:
    """The address of the Prefect server that this process talks to."""
    return (get_current_settings().api.url or "").removesuffix("/api")


def forget_beats(beats: Path) -> None:
    """Removes the heartbeat of an earlier process, which must not count for the next one. Makes the folder."""
    beats.mkdir(parents=True, exist_ok=True)
    (beats / FILE).unlink(missing_ok=True)


async def on_worker(deployment: str, parameters: dict[str, Any], beats: Path, *, loop: str | None = None) -> str | None:
    """Has a worker run a deployment; returns how it failed, None if it completed. Cancelled, it cancels the flow run: no worker
    may begin it later, beside a resumed loop. `loop`: the flow run that starts it, for one that outlives its stage."""
    forget_beats(beats)
    tags = [started_by(loop)] if loop else []
    started = await arun_deployment(deployment, parameters=parameters, timeout=0, as_subflow=True, tags=tags)
    try:
        return await end_of(started.id, beats, server_url())
    except BaseException:
        await asyncio.shield(asyncio.to_thread(_cancel, str(started.id)))
        raise


async def end_of(
    flow_run_id: UUID, beats: Path, server_url: str, *, poll_s: float = POLL_S, untold_s: float = UNTOLD_S
) -> str | None:
    """Waits for the rank's flow run; returns how it failed, None if it completed. Marks a lost one as crashed, and one that
    ended `untold_s` seconds ago without telling Prefect, which counts as lost too: what it stored is not done again."""
    asked = time.monotonic()
    async with get_client() as client:
        while True:
            state = await _state(client, flow_run_id)
            if state is not None and state.is_final():
                why = f": {state.message}" if state.message else ""
                return None if state.is_completed() else f"ended as {state.name}{why}"
            if read_heartbeat(beats) is None and time.monotonic() - asked > UNTAKEN_S:
                logger.warning("flow run %s is not begun yet; is a worker of its pool running?", flow_run_id)
                asked = time.monotonic()
            if beat := lost(beats):
                await asyncio.to_thread(_mark_crashed, server_url, str(flow_run_id))
                return f"was lost with {beat}"
            if (beat := read_heartbeat(beats)) and beat.ended and time.time() - beat.at > untold_s:
                await asyncio.to_thread(_mark_crashed, server_url, str(flow_run_id))
                return f"was lost to Prefect when {beat} ended"
            await asyncio.sleep(poll_s)


async def _state(client: PrefectClient, flow_run_id: UUID) -> State[Any] | None:
    """The state of a flow run; None while the server does not answer, for work goes on without it."""
    try:
        return (await client.read_flow_run(flow_run_id)).state
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        logger.warning("Prefect does not say how flow run %s goes: %r", flow_run_id, error)
        return None


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
