"""The end of a rank on another worker: from Prefect, or from its heartbeat. Real Prefect server, real processes."""

import asyncio
import os
import sys
from collections.abc import Generator
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Completed, Failed, Running

from flows.far_shard import end_of, forget_beats, server_url
from storage.heartbeat import beating, lost

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:unclosed")

PLAYER = """
import sys, time
from pathlib import Path
from storage.heartbeat import beating
with beating(Path(sys.argv[1])):
    print("plays", flush=True)
    time.sleep(60)
"""


@flow(name="some-rank")
def some_rank() -> None:
    """Stands for a shard that is played elsewhere."""


@pytest.fixture
def client(prefect_server: None) -> Generator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def rank(client: SyncPrefectClient) -> UUID:
    """A flow run that Prefect believes to be Running."""
    run = client.create_flow_run(some_rank)
    client.set_flow_run_state(run.id, Running(), force=True)
    return run.id


@pytest.fixture
def beats(tmp_path: Path) -> Path:
    return tmp_path / "ranks" / "01"


async def test_a_rank_that_was_lost_with_its_worker_is_noticed_and_marked(
    client: SyncPrefectClient, rank: UUID, beats: Path
) -> None:
    forget_beats(beats)
    waiting = asyncio.create_task(end_of(rank, beats, server_url(), poll_s=0.05))
    pipe = asyncio.subprocess.PIPE
    player = await asyncio.create_subprocess_exec(sys.executable, "-c", PLAYER, str(beats), stdout=pipe)
    assert player.stdout is not None
    assert await player.stdout.readline() == b"plays\n"
    assert not waiting.done(), "nobody had taken it up, and now it is played"
    player.kill()
    await player.wait()

    async with asyncio.timeout(60):
        assert str(await waiting).startswith(f"was lost with process {player.pid} on ")
    state = client.read_flow_run(rank).state
    assert state is not None and state.is_crashed()
    assert lost(beats) is not None
    forget_beats(beats)
    assert lost(beats) is None, "the next round is not lost for the end of this one"


async def test_a_rank_that_ended_while_it_was_cut_off_from_prefect_is_not_waited_for(
    client: SyncPrefectClient, rank: UUID, beats: Path
) -> None:
    forget_beats(beats)
    waiting = asyncio.create_task(end_of(rank, beats, server_url(), poll_s=0.05, untold_s=0.2))
    with beating(beats):
        await asyncio.sleep(0.4)
        assert not waiting.done(), "it is still played"
    async with asyncio.timeout(60):
        assert str(await waiting).startswith(f"was lost to Prefect when process {os.getpid()} on ")
    state = client.read_flow_run(rank).state
    assert state is not None and state.is_crashed()


async def test_what_prefect_knows_of_a_rank_is_enough(client: SyncPrefectClient, rank: UUID, beats: Path) -> None:
    client.set_flow_run_state(rank, Failed(), force=True)
    assert await end_of(rank, beats, server_url()) == "ended as Failed"
    client.set_flow_run_state(rank, Completed(), force=True)
    assert await end_of(rank, beats, server_url()) is None
