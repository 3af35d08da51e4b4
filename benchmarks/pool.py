"""Cost of the browser service against Playwright without any service: every published number about it.

    python -m benchmarks.pool [--quick]

    steps       8 sessions click and take a picture of a local page for some seconds, in turns through `POST /step` of
                `browser-service up` and with `page.mouse.click` and `page.screenshot` of Playwright in this process, on the
                same Chromium with the same flags; the ratio of the steps per second. Needs 0.85 or more. For information
                also against pictures that are taken directly in the service's way, which is faster than Playwright's.
    own part    one session, step by step: time at the client less the service's time in Chromium (its phases act,
                settle, marks, screenshot), median; directly to the instance (5 ms) and through a master (10 ms). They
                include Playwright's driver and the service's settling, which a direct user would need in some form too.
    allocation  time of `async with pool.lease(...)` until the browser is there, with a warm one ready; median (10 ms)
                and 99th percentile (50 ms). Leases without a warm browser are counted separately.
    memory      proportional set size of the service with all its processes: the increase per further session with the
                page open, in one shared Chromium (at most 100 MB).
    start       from starting the process to four leases granted (at most 5 s).

Prints one table with the requirement beside each number and returns 1 when one is missed. About five minutes; --quick takes
one, and its figures vary more. Run it on an otherwise idle machine: load changes milliseconds, but not ratios.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import fmean, median, quantiles
from typing import NamedTuple

import httpx
from playwright.async_api import Browser as PlaywrightBrowser

from benchmarks.pool_parts import CLICK, VIEWPORT, direct_chromium, running, served_page
from browser_service.client import Browser, BrowserPool
from browser_service.models import ObserveRequest, StepReply, VisitPage

SESSIONS = 8
PICTURE = ObserveRequest(marks=False)
WARM = 4
REFILL_S = 0.25
"""Pause after each lease, in which the service opens the next browser in advance."""
COLD = 'browser_service_session_open_seconds_count{source="opened"}'
Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Size:
    """Sizes of the measurements."""

    rounds: int
    round_s: float
    steps: int
    leases: int
    sessions: int
    starts: int


FULL = Size(rounds=6, round_s=8, steps=200, leases=300, sessions=16, starts=3)
QUICK = Size(rounds=2, round_s=3, steps=30, leases=40, sessions=6, starts=1)


class Row(NamedTuple):
    """One number. `required` is a bound in the same unit; None: for information."""

    name: str
    value: float
    unit: str
    required: float | None = None
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """True if the requirement holds, or there is none."""
        if self.required is None:
            return True
        return self.value >= self.required if self.at_least else self.value <= self.required


def main() -> int:
    """Measures and prints the table; returns 1 when a requirement is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smaller run, of about a minute")
    size = QUICK if parser.parse_args().quick else FULL
    rows: list[Row] = []
    with served_page() as page:
        for measure in (step_rate, own_part, allocation, memory, start_up):
            print(f"measuring {measure.__name__.replace('_', ' ')} ...", file=sys.stderr, flush=True)
            rows += asyncio.run(measure(page, size))
    print(table(rows))
    missed = [row.name for row in rows if not row.is_met]
    print(f"missed: {', '.join(missed)}" if missed else "every requirement is met")
    return 1 if missed else 0


async def step_rate(page: str, size: Size) -> list[Row]:
    """Steps per second of 8 sessions, alternating with and without the service."""
    sides: dict[str, list[Step]] = {}
    rates: dict[str, list[float]] = {}
    with running("up", "--slots", str(SESSIONS)) as service:
        async with direct_chromium() as chromium, BrowserPool(service.url) as pool, AsyncExitStack() as stack:
            leased = await stack.enter_async_context(pool.batch(SESSIONS, owner="benchmark", sites=[host(page)]))
            await asyncio.gather(*(browser.step(VisitPage(url=page), PICTURE) for browser in leased))
            sides["service"] = [_step_of(browser) for browser in leased]
            for side in ("direct", "same capture"):
                makers = (_direct_step(chromium, page, fast=side == "same capture") for _ in range(SESSIONS))
                sides[side] = list(await asyncio.gather(*makers))
            for steps in sides.values():
                await _steps_within(steps, 0.5)  # warms up
            for number in range(size.rounds):
                for side in list(sides)[:: -1 if number % 2 else 1]:
                    count, took_s = await _steps_within(sides[side], size.round_s)
                    rates.setdefault(side, []).append(count / took_s)
    ratios = [ours / theirs for ours, theirs in zip(rates["service"], rates["direct"], strict=True)]
    return [
        Row(f"steps at {SESSIONS} sessions, service", fmean(rates["service"]), "1/s"),
        Row(f"steps at {SESSIONS} sessions, direct Playwright", fmean(rates["direct"]), "1/s"),
        Row(
            "service against direct Playwright",
            fmean(rates["service"]) / fmean(rates["direct"]),
            "",
            0.85,
            at_least=True,
        ),
        Row("  lowest of the rounds", min(ratios), ""),
        Row("  highest of the rounds", max(ratios), ""),
        Row("  against the service's own way to capture", fmean(rates["service"]) / fmean(rates["same capture"]), ""),
    ]


async def own_part(page: str, size: Size) -> list[Row]:
    """The service's own part of a step, directly to the instance and through a master."""
    own: dict[bool, list[float]] = {True: [], False: []}
    whole: dict[bool, list[float]] = {True: [], False: []}
    with running("deploy", "--nodes", "1", "--instances", "1", "--slots", "4") as service:
        async with (
            _one_lease(service.url, page, direct=True) as straight,
            _one_lease(service.url, page, direct=False) as led,
        ):
            for number in range(size.steps + 5):
                for direct, browser in ((True, straight), (False, led)):
                    began = time.perf_counter()
                    reply = await browser.step(CLICK, PICTURE)
                    took_ms = (time.perf_counter() - began) * 1_000
                    if number >= 5:  # the first ones warm up
                        own[direct].append(took_ms - _chromium_ms(reply))
                        whole[direct].append(took_ms)
    return [
        Row("own part of a step, direct: median", median(own[True]), "ms", 5),
        Row("own part of a step, through the master: median", median(own[False]), "ms", 10),
        Row("  whole step, direct: median", median(whole[True]), "ms"),
        Row("  whole step, through the master: median", median(whole[False]), "ms"),
    ]


async def allocation(page: str, size: Size) -> list[Row]:
    """Duration of a lease while a warm browser is ready."""
    warm: list[float] = []
    with running("up", "--slots", str(SESSIONS), WARM=WARM) as service:
        async with BrowserPool(service.url) as pool, httpx.AsyncClient(base_url=service.url, trust_env=False) as http:
            opened = await _cold_leases(http)
            for _ in range(size.leases):
                await asyncio.sleep(REFILL_S)
                began = time.perf_counter()
                async with pool.lease(owner="benchmark", sites=[host(page)]):
                    took_ms = (time.perf_counter() - began) * 1_000
                before, opened = opened, await _cold_leases(http)
                if opened == before:
                    warm.append(took_ms)
    if len(warm) < 2:
        raise RuntimeError(f"only {len(warm)} of {size.leases} leases found a warm browser: the machine is too busy")
    return [
        Row("warm allocation, median", median(warm), "ms", 10),
        Row("warm allocation, 99th percentile", quantiles(warm, n=100, method="inclusive")[98], "ms", 50),
        Row(f"  of {size.leases} leases, found no warm browser", size.leases - len(warm), ""),
    ]


async def memory(page: str, size: Size) -> list[Row]:
    """Increase of the service's memory per further session."""
    few = 2
    with running("up", "--slots", str(few + size.sessions), WARM=0) as service:
        async with BrowserPool(service.url) as pool, AsyncExitStack() as stack:

            async def add(count: int) -> float:
                browsers = await stack.enter_async_context(pool.batch(count, owner="benchmark", sites=[host(page)]))
                for browser in browsers:
                    await browser.step(VisitPage(url=page), PICTURE)
                    await browser.step(CLICK, PICTURE)
                await asyncio.sleep(2)  # memory that was only used to open them is freed
                return await asyncio.to_thread(service.proportional_mb)

            with_few = await add(few)
            with_many = await add(size.sessions)
    each = (with_many - with_few) / size.sessions
    base = with_few - few * each
    return [
        Row("memory of each further session (PSS)", each, "MB", 100),
        Row("  the service without sessions (PSS)", base, "MB"),
        Row("  further sessions per GB", 1_000 / each, ""),
        Row("  sessions in 8 GB, the service included", (8_000 - base) / each, ""),
    ]


async def start_up(page: str, size: Size) -> list[Row]:
    """Time from the start of the process to four usable sessions."""
    took = []
    for _ in range(size.starts):
        began = time.perf_counter()
        with running("up", "--slots", "4") as service:
            async with BrowserPool(service.url) as pool, pool.batch(4, owner="benchmark", sites=[host(page)]):
                took.append(time.perf_counter() - began)
    return [Row("start to 4 ready sessions, median", median(took), "s", 5)]


def table(rows: list[Row]) -> str:
    """The numbers, one per line, each with its requirement."""
    lines = [f"{'':<48}{'measured':>12}  {'required':<16}"]
    for row in rows:
        bound = "" if row.required is None else f"{'>=' if row.at_least else '<='} {row.required:g} {row.unit}".rstrip()
        verdict = "" if row.required is None else "ok" if row.is_met else "MISSED"
        lines.append(f"{row.name:<48}{row.value:>8.2f} {row.unit:<5} {bound:<12} {verdict}".rstrip())
    return "\n".join(lines)


def host(page: str) -> str:
    """The page's address, as a lease names it."""
    return page.removeprefix("http://").rstrip("/")


@asynccontextmanager
async def _one_lease(url: str, page: str, *, direct: bool) -> AsyncGenerator[Browser, None]:
    async with (
        BrowserPool(url, direct=direct) as pool,
        pool.lease(owner="benchmark", sites=[host(page)]) as browser,
    ):
        await browser.step(VisitPage(url=page), PICTURE)
        yield browser


def _step_of(browser: Browser) -> Step:
    async def step() -> None:
        reply = await browser.step(CLICK, PICTURE)
        if reply.error or not (reply.observation.screenshot and reply.observation.screenshot.data):
            raise RuntimeError(f"a step brought no picture: {reply.error}")

    return step


async def _direct_step(chromium: PlaywrightBrowser, url: str, *, fast: bool) -> Step:
    """`fast`: the picture is taken as the service does, by Chromium's protocol with fast compression."""
    context = await chromium.new_context(viewport={"width": VIEWPORT.width, "height": VIEWPORT.height})
    page = await context.new_page()
    await page.goto(url)

    protocol = await context.new_cdp_session(page)

    async def step() -> None:
        await page.mouse.click(CLICK.x, CLICK.y)
        if fast:
            await protocol.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        else:
            await page.screenshot()

    return step


async def _steps_within(steps: list[Step], seconds: float) -> tuple[int, float]:
    """Runs all sessions at once, step after step; returns the number of steps, and the seconds until the last end."""
    began = time.perf_counter()
    done = 0

    async def session(step: Step) -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await step()
            done += 1

    await asyncio.gather(*map(session, steps))
    return done, time.perf_counter() - began


def _chromium_ms(reply: StepReply) -> float:
    return sum(milliseconds for phase, milliseconds in reply.timings_ms.items() if phase != "total")


async def _cold_leases(http: httpx.AsyncClient) -> float:
    """Number of leases so far that had to open their browser."""
    lines = (await http.get("/metrics")).raise_for_status().text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(COLD))


if __name__ == "__main__":
    sys.exit(main())
