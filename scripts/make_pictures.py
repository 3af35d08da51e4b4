"""Makes the pictures of the README from a finished run: `python -m scripts.make_pictures runs/demo`.

The learning curve is the run's own; the dashboard is photographed in a headless Chromium at a trajectory that succeeded.
"""

import argparse
import asyncio
import os
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.async_api import async_playwright

from dashboard.app import create_app
from dashboard.cli import listen
from storage.verdicts import VERDICTS, read_verdicts

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
CURVE, DASHBOARD = "learning_curve.png", "dashboard.png"
START_S = 20.0
"""Seconds that the dashboard may take to start."""


@contextmanager
def running_dashboard(runs: Path) -> Generator[str]:
    """The dashboard on a free port of loopback. Yields its address."""
    server = uvicorn.Server(uvicorn.Config(create_app(runs), log_level="warning", timeout_graceful_shutdown=2))
    with listen(0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_S
        while not server.started:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the dashboard did not start within {START_S:g} s")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def a_success(run: Path) -> str:
    """The dashboard's address of a trajectory of the last judged iteration that succeeded. Raises LookupError."""
    for judged in sorted(run.glob("iterations/*/judge"), reverse=True):
        if not (judged / VERDICTS).exists():
            continue
        for verdict in read_verdicts(judged):
            if verdict.reward == 1:
                return f"/#/run/{run.name}/{int(judged.parent.name)}/rollout/{verdict.trajectory_id}"
    raise LookupError(f"{run} has no judged trajectory that succeeded; name a run that has")


async def photograph(address: str, to: Path) -> None:
    """Writes a picture of a page, 1200 x 720 pixels, once it has loaded."""
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, chromium_sandbox=os.geteuid() != 0
        )  # none for root
        page = await browser.new_page(viewport={"width": 1200, "height": 720})
        await page.goto(address, wait_until="networkidle")
        await page.screenshot(path=to)
        await browser.close()


def main() -> None:
    """Makes both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    run = parser.parse_args().run.resolve()
    if not (run / CURVE).is_file():
        parser.error(f"{run / CURVE} is missing: expected the folder of a run with a finished iteration")
    PICTURES.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / CURVE, PICTURES / CURVE)
    with running_dashboard(run.parent) as address:
        asyncio.run(photograph(address + a_success(run), PICTURES / DASHBOARD))


if __name__ == "__main__":
    main()
