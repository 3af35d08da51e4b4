"""A client that opens sessions, gives the first half back, and is then killed while it holds the others.

`python soaking_client.py SERVICE PAGE COUNT` opens twice COUNT sessions, and says `holding` on standard output.
"""

import asyncio
import sys

from browser_service.client import BrowserPool
from browser_service.errors import BrowserCrashed, LeaseNotFound
from browser_service.models import ObserveRequest, Viewport, VisitPage

SMALL = Viewport(width=400, height=300)
QUICK = ObserveRequest(screenshot=False)


async def main(service: str, page: str, count: int) -> None:
    async with BrowserPool(service) as pool:

        async def use(holding: asyncio.Semaphore | None) -> None:
            while not await used(holding):
                pass

        async def used(holding: asyncio.Semaphore | None) -> bool:
            """Opens the page, and stays. False when the lease was over before: it is short, and a crowded machine renews it late."""
            async with pool.lease(owner="soak", viewport=SMALL, ttl_s=2, wait_s=60) as browser:
                try:
                    await browser.step(VisitPage(url=page), QUICK, deadline_s=60)
                except (BrowserCrashed, LeaseNotFound):
                    return False
                if holding:
                    holding.release()
                    await asyncio.sleep(600)
            return True

        await asyncio.gather(*(use(None) for _ in range(count)))
        holding = asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as held:  # one that fails ends all, and the test with them
            for _ in range(count):
                held.create_task(use(holding))
            for _ in range(count):
                await holding.acquire()
            sys.stdout.write("holding\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
