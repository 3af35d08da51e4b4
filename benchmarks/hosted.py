"""An installed application: time to serve with warm spares, time of a reset, memory per episode, isolation of many at once.

python -m benchmarks.hosted misago
python -m benchmarks.hosted misago --parts isolation
"""

import argparse
import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import httpx

from environments.applications.installed import INSTALLED
from environments.base import Place
from environments.providers.owners import Owner
from environments.providers.postgres import cluster
from environments.providers.process import server
from environments.providers.scratch import is_in_memory, scratch_folders

AT_ONCE = 32
PARTS = ("serve", "reset", "memory", "isolation")
PAGE_S = 120.0


class Marked(NamedTuple):
    """A text that an application's page shows. Example: `Marked("projects SET name = '{mark}'", page="projects")`."""

    change: str
    """SQL after UPDATE that puts a mark there."""
    page: str = ""


async def serve(name: str, rounds: int) -> list[float]:
    """Seconds until each of 32 episodes has its database, begun at the same time with as many warm spares."""
    seconds: list[float] = []
    async with INSTALLED[name].places(spares=AT_ONCE) as places:
        for number in range(rounds):
            while places.ready < AT_ONCE:  # noqa: ASYNC110 - nobody tells when spares are ready
                await asyncio.sleep(0.2)
            async with AsyncExitStack() as stack:

                async def one(key: str, stack: AsyncExitStack) -> None:
                    began = time.perf_counter()
                    await stack.enter_async_context(places.fresh(key))
                    seconds.append(time.perf_counter() - began)

                await asyncio.gather(*(one(f"t{number}-{each}", stack) for each in range(AT_ONCE)))
    return seconds


async def reset(name: str, times: int) -> list[float]:
    """Seconds of a clone of the start state, database and files, one after another and without a spare."""
    seconds: list[float] = []
    async with INSTALLED[name].places(spares=0) as places:
        for number in range(times):
            began = time.perf_counter()
            async with places.fresh(f"t{number}"):
                seconds.append(time.perf_counter() - began)
    return seconds


async def memory(name: str, episodes: int) -> tuple[float, float]:
    """MB of the server, its database server and what they keep in memory with one episode, and MB per further one.

    Each has opened its first page.
    """
    async with INSTALLED[name].places(spares=0) as places, AsyncExitStack() as stack:
        assert places.server is not None, "it runs while its provider is entered"
        found = []
        for number in range(episodes):
            place = await stack.enter_async_context(places.fresh(f"t{number}"))
            await look(place, MARKED[name].page)
            if number in (0, episodes - 1):
                files = sum(files_mb(folder) for folder in own_folders() if is_in_memory(folder))
                found.append(resident_mb(places.server.pid) + resident_mb(places.database_pid) + files)
    return found[0], (found[-1] - found[0]) / (episodes - 1)


async def isolation(name: str, episodes: int) -> int:
    """Number of `episodes` episodes at once that see a change which another one made in its database."""
    async with INSTALLED[name].places(spares=AT_ONCE) as places, AsyncExitStack() as stack:
        room = asyncio.Semaphore(16)

        async def marked(number: int) -> Place:
            async with room:
                place = await stack.enter_async_context(places.fresh(f"t{number}"))
                async with place.handle.cluster.connected(place.handle.database) as connection:
                    change = MARKED[name].change.format(mark=f"episode {number} of many")
                    await connection.execute(f"UPDATE {change}")
                return place

        async def is_seen_by_others(number: int, place: Place) -> bool:
            async with room:
                return f"episode {number} of" not in await look(place, MARKED[name].page)

        opened = await asyncio.gather(*(marked(number) for number in range(episodes)))
        return sum(await asyncio.gather(*(is_seen_by_others(*one) for one in enumerate(opened))))


MARKED = {
    "mediawiki": Marked("text SET old_text = '{mark}' WHERE old_text LIKE 'Welcome to the%'", page="wiki/Main_Page"),
    "misago": Marked("misago_threads_thread SET title = '{mark}'"),
    "pretix": Marked("pretixbase_event SET name = '{mark}'", page="control/events/"),
    "redmine": Marked("projects SET name = '{mark}'", page="projects"),
    "roundcube": Marked(
        "contacts SET vcard = replace(vcard, 'ORG:', 'ORG:{mark}') WHERE contact_id = 1",
        page="?_task=addressbook&_action=show&_source=0&_cid=1",
    ),
    "superset": Marked("dashboards SET dashboard_title = '{mark}'", page="api/v1/dashboard/"),
}


async def look(place: Place, page: str = "") -> str:
    """The text of a page, as the episode's browser gets it."""
    host = place.url.split("/")[2]
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in (place.login.cookies if place.login else []))
    async with httpx.AsyncClient(trust_env=False, timeout=PAGE_S) as http:
        url = f"http://127.0.0.1:{host.rpartition(':')[2]}/{page}"
        answer = await http.get(url, headers={"Host": host, "Cookie": cookies}, follow_redirects=False)
        answer.raise_for_status()
        return answer.text


def resident_mb(pid: int) -> float:
    """Memory of a process and all its descendants in MB, shared pages counted once (Pss)."""
    total = 0.0
    for found in [pid, *descendants(pid)]:
        try:
            lines = Path(f"/proc/{found}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1_024
    return total


def own_folders() -> list[Path]:
    """Scratch folders of this process: data of the database server, files of episodes."""
    owner = Owner.of_this_process()
    return [folder for prefix in (cluster.FOLDER, server.FOLDER) for folder in scratch_folders(f"{prefix}{owner}-")]


def files_mb(folder: Path) -> float:
    """Size of a folder's files in MB, hard links counted once."""
    kept: dict[int, int] = {}
    for path in folder.rglob("*"):
        with suppress(OSError):  # it is gone again
            found = path.lstat()
            kept[found.st_ino] = found.st_blocks * 512
    return sum(kept.values()) / 2**20


def descendants(pid: int) -> list[int]:
    """Processes below a process."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def row(name: str, seconds: list[float]) -> str:
    """One row of the table, in milliseconds."""
    cuts = quantiles(seconds, n=100)
    return f"| {name} | {len(seconds)} | {cuts[49] * 1_000:.1f} | {cuts[98] * 1_000:.1f} |"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("application", choices=sorted(INSTALLED), help="one that is installed")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of 32 episodes at once")
    parser.add_argument("--episodes", type=int, default=200, help="episodes at once, for isolation")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="by default all, one after another")
    given = parser.parse_args()
    name = given.application
    print("| | episodes | p50 ms | p99 ms |\n|---|---|---|---|")
    if "serve" in given.parts:
        print(row(f"{name}: serve, 32 at once, 32 spares", asyncio.run(serve(name, given.rounds))), flush=True)
    if "reset" in given.parts:
        print(row(f"{name}: reset by a clone, no spare", asyncio.run(reset(name, 20))), flush=True)
    if "memory" in given.parts:
        first, further = asyncio.run(memory(name, 24))
        print(f"\nmemory: {first:.0f} MB with one episode, {further:.1f} MB per further one", flush=True)
    if "isolation" in given.parts:
        seen = asyncio.run(isolation(name, given.episodes))
        print(f"isolation: {seen} of {given.episodes} episodes at once saw another one")


if __name__ == "__main__":
    main()
