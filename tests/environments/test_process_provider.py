"""Servers as child processes: health, log, spares, tear-down, and what a killed owner leaves behind."""

import asyncio
import random
import sys
from pathlib import Path

import httpx
import pytest
from process_owner import SERVER

from environments.base import EnvironmentBroken
from environments.providers.owners import MARK, Owner, is_orphan, start_of
from environments.providers.process.orphans import mark_of, sweep
from environments.providers.process.provider import ServerPerEpisode, check_alive
from environments.providers.process.server import ServerCommand


def command(*more: str, deadline_s: float = 30) -> ServerCommand:
    return ServerCommand([sys.executable, str(SERVER), "{port}", *more], start_deadline_s=deadline_s)


def marked(owner: str) -> list[Path]:
    """Running processes of an owner."""
    found = [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and mark_of(folder) == owner]
    return [folder for folder in found if start_of(int(folder.name)) is not None]


async def test_every_episode_has_a_server_of_its_own_and_leaves_nothing(tmp_path: Path) -> None:
    async with ServerPerEpisode(command("--child"), spares=1, logs=tmp_path) as places:
        async with places.fresh("a") as one, places.fresh("b") as other:
            async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
                await http.get(f"{one.url}add")
                assert (await http.get(one.url)).text == "1"
                assert (await http.get(other.url)).text == "0"
            assert one.sites != other.sites and one.handle.folder.is_dir()
            assert len(marked(str(Owner.of_this_process()))) >= 4  # two servers, each with a child
        assert not one.handle.folder.exists()
        assert "GET /add" in (tmp_path / "a.log").read_text()
    assert marked(str(Owner.of_this_process())) == []


async def test_a_server_that_ends_or_never_gets_healthy_is_one_sentence() -> None:
    async with ServerPerEpisode(command("--broken"), spares=0) as places:
        with pytest.raises(EnvironmentBroken, match="ended while it started: no such database"):
            async with places.fresh("a"):
                pass
    async with ServerPerEpisode(command("--slow", deadline_s=0.5), spares=0) as places:
        with pytest.raises(EnvironmentBroken, match=r"was not healthy within 0\.5 s"):
            async with places.fresh("a"):
                pass
    async with ServerPerEpisode(ServerCommand(["/no/such/program"]), spares=0) as places:
        with pytest.raises(EnvironmentBroken, match="can't be started: No such file"):
            async with places.fresh("a"):
                pass
    assert marked(str(Owner.of_this_process())) == []


async def test_a_server_that_dies_during_the_episode_is_noticed() -> None:
    async with ServerPerEpisode(command(), spares=0) as places, places.fresh("a") as place:
        check_alive(place.handle)
        place.handle._process.kill()
        await place.handle._process.wait()
        with pytest.raises(EnvironmentBroken, match="died during the episode"):
            check_alive(place.handle)


def test_only_what_certainly_has_no_owner_is_an_orphan() -> None:
    mine = Owner.of_this_process()
    assert Owner.parse(str(mine)) == mine and not is_orphan(str(mine))
    assert is_orphan(str(Owner(mine.machine, mine.boot, mine.namespace, mine.pid, mine.started + 1)))
    assert is_orphan(str(Owner(mine.machine, "00000000", "1", 1, 1)))
    assert not is_orphan(str(Owner("00000000", mine.boot, mine.namespace, 1, 1)))  # another machine
    assert not is_orphan(str(Owner(mine.machine, mine.boot, "1", 1, 1)))  # another container of this machine
    assert not is_orphan("nonsense") and not is_orphan(None)


async def killed_after(seconds: float | None) -> str:
    """Starts an owner and kills it, at once when it holds its places or some time after its start; returns its id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER.with_name("process_owner.py")), "process", stdout=asyncio.subprocess.PIPE
    )
    started = start_of(process.pid)
    assert process.stdout is not None and started is not None
    here = Owner.of_this_process()
    owner = str(Owner(here.machine, here.boot, here.namespace, process.pid, started))
    async with asyncio.timeout(120):
        while (line := await process.stdout.readline()) not in (b"holding\n", b""):
            if seconds is not None and line == b"entered\n":
                await asyncio.sleep(seconds)
                break
    process.kill()
    await process.communicate()
    return owner


async def test_a_killed_owner_leaves_nothing_after_the_next_sweep() -> None:
    owner = await killed_after(None)
    assert len(marked(owner)) >= 6, f"expected three servers with a child each, marked with {MARK}"
    await asyncio.gather(asyncio.to_thread(sweep), asyncio.to_thread(sweep))
    assert marked(owner) == []


@pytest.mark.chaos
async def test_killed_at_random_points() -> None:
    rng = random.Random(7)
    for _ in range(35):
        owner = await killed_after(rng.uniform(0, 1.5))
        await asyncio.to_thread(sweep)
        assert marked(owner) == []
