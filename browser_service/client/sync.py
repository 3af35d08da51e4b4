"""The client for programs without an event loop: `with SyncBrowserPool(url) as pool, pool.lease(owner="me") as browser: ...`

A thin layer over the asynchronous client, which runs in a thread of its own (anyio's blocking portal): the logic is
written once, and the lease is renewed while the program computes. The alternative of httpx and redis-py, a second
version for blocking sockets, by hand or generated (unasync), saves some 0.1 ms a call and the thread, but renewing in
the background would need a thread again.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

from browser_service.client.browser import EVERYTHING
from browser_service.client.pool import Browser, BrowserPool, LeaseOptions
from browser_service.events import Event
from browser_service.models import (
    Action,
    Artifact,
    Lease,
    ObserveRequest,
    PoolStatus,
    Screenshot,
    SessionStatus,
    StepReply,
)


class SyncBrowserPool:
    """`BrowserPool` without `await`. Only as a context manager; threads may share it."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        *,
        patience_s: float = 15.0,
        direct: bool = True,
        ca_file: Path | None = None,
    ) -> None:
        """See `BrowserPool`."""
        self._make = partial(
            BrowserPool, url, api_key, timeout_s, patience_s=patience_s, direct=direct, ca_file=ca_file
        )
        self._stack = ExitStack()

    def __enter__(self) -> "SyncBrowserPool":
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(name="browser-service client"))
            pool = self._portal.call(self._make)
            self._pool = stack.enter_context(self._portal.wrap_async_context_manager(pool))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @contextmanager
    def lease(
        self, *, keep_alive: bool = True, **options: Unpack[LeaseOptions]
    ) -> Generator["SyncBrowser", None, None]:
        """See `BrowserPool.lease`."""
        leasing = self._pool.lease(keep_alive=keep_alive, **options)
        with self._portal.wrap_async_context_manager(leasing) as browser:
            yield SyncBrowser(browser, self._portal)

    @contextmanager
    def batch(
        self, count: int, *, keep_alive: bool = True, **options: Unpack[LeaseOptions]
    ) -> Generator[list["SyncBrowser"], None, None]:
        """See `BrowserPool.batch`."""
        leasing = self._pool.batch(count, keep_alive=keep_alive, **options)
        with self._portal.wrap_async_context_manager(leasing) as browsers:
            yield [SyncBrowser(browser, self._portal) for browser in browsers]

    def info(self) -> PoolStatus:
        """See `BrowserPool.info`."""
        return self._portal.call(self._pool.info)

    def sessions(self) -> list[SessionStatus]:
        """See `BrowserPool.sessions`."""
        return self._portal.call(self._pool.sessions)

    def end(self, instance_id: str) -> None:
        """See `BrowserPool.end`."""
        self._portal.call(self._pool.end, instance_id)

    def drain(self, node: str | None = None, *, master: str | None = None) -> None:
        """See `BrowserPool.drain`."""
        self._portal.call(partial(self._pool.drain, node, master=master))

    def undrain(self, node: str | None = None, *, master: str | None = None) -> None:
        """See `BrowserPool.undrain`."""
        self._portal.call(partial(self._pool.undrain, node, master=master))

    def events(self, *kinds: str) -> Generator[Event, None, None]:
        """See `BrowserPool.events`."""
        happenings = self._pool.events(*kinds)
        try:
            while True:
                yield self._portal.call(happenings.__anext__)
        finally:
            self._portal.call(happenings.aclose)


class SyncBrowser:
    """`Browser` without `await`."""

    def __init__(self, browser: Browser, portal: BlockingPortal) -> None:
        self._browser = browser
        self._portal = portal

    @property
    def lease(self) -> Lease:
        """The underlying lease."""
        return self._browser.lease

    def step(self, action: Action, observe: ObserveRequest = EVERYTHING, *, deadline_s: float = 30) -> StepReply:
        """See `Browser.step`."""
        return self._portal.call(partial(self._browser.step, action, observe, deadline_s=deadline_s))

    def picture(self, shot: Screenshot, *, deadline_s: float = 30) -> bytes:
        """See `Browser.picture`."""
        return self._portal.call(partial(self._browser.picture, shot, deadline_s=deadline_s))

    def blob(self, sha256: str, *, deadline_s: float = 30) -> bytes:
        """See `Browser.blob`."""
        return self._portal.call(partial(self._browser.blob, sha256, deadline_s=deadline_s))

    def artifacts(self, *, deadline_s: float = 30) -> list[Artifact]:
        """See `Browser.artifacts`."""
        return self._portal.call(partial(self._browser.artifacts, deadline_s=deadline_s))

    def download(self, artifact: Artifact, to: Path, *, deadline_s: float = 300) -> None:
        """See `Browser.download`."""
        self._portal.call(partial(self._browser.download, artifact, to, deadline_s=deadline_s))

    def renew(self, *, deadline_s: float = 10) -> None:
        """See `Browser.renew`."""
        self._portal.call(partial(self._browser.renew, deadline_s=deadline_s))

    def release(self) -> None:
        """See `Browser.release`."""
        self._portal.call(self._browser.release)
