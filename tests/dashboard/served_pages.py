"""The dashboard on a free port, and its pages in a real Chromium."""

import shutil
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI
from playwright.async_api import Page, async_playwright

from dashboard.cli import listen

START_DEADLINE_S = 20.0


@contextmanager
def served(application: FastAPI) -> Generator[str, None, None]:
    """The address of the application, served in a thread."""
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=2))
    with listen(0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_DEADLINE_S
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started, "the dashboard did not start"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@asynccontextmanager
async def opened_page(address: str) -> AsyncGenerator[Page, None]:
    """A page of the dashboard; an error in its console raises AssertionError at the end."""
    executable = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        opened = await browser.new_page(viewport={"width": 1400, "height": 900}, base_url=address)
        opened.on(
            "console",
            lambda message: (
                errors.append(f"{message.text} {message.location.get('url', '')}") if message.type == "error" else None
            ),
        )
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        await browser.close()
    assert errors == [], errors
