"""Load of the services while a run is watched: vLLM's queue, the browser service's leases.

Both are polled in threads and never waited for: a busy server answers late, and the view must not freeze.
"""

import os
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from browser_service.models import PoolStatus
from flows.services.model_servers import VLLM, socket_path
from flows.services.services import address_of
from flows.services.specs import BROWSER
from storage.errors import ServicesError

ASK_S = 1.5
"""Seconds that an answer may take before the service counts as down."""
ASK_EVERY_S = 2.0
RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"

T = TypeVar("T")


class Browsers(NamedTuple):
    """Slots and waiting requests of the browser service."""

    leased: int
    capacity: int
    queue: int
    """Requests that wait for a slot."""


class Model(NamedTuple):
    """Requests of vLLM, over all its engines and servers."""

    running: int
    waiting: int


class Services(NamedTuple):
    """The latest answers of the services; None for a service that does not answer."""

    browsers: Browsers | None = None
    model: Model | None = None


def ask_browsers(state_dir: Path) -> Browsers | None:
    """The status of a state directory's browser service, None when it does not answer."""
    try:
        url, _, _ = address_of(state_dir, BROWSER).partition(",")  # each master knows the whole service
        status = PoolStatus.model_validate_json(_get(f"{url}/info", None))
    except (ServicesError, KeyError, OSError, ValueError, httpx.HTTPError):
        return None
    nodes = status.nodes
    return Browsers(sum(len(node.instances) for node in nodes), sum(node.capacity for node in nodes), status.queue)


def ask_model(state_dir: Path) -> Model | None:
    """The load of a state directory's model servers together, None when none answers."""
    try:
        first = socket_path(state_dir)
    except ServicesError:
        return None
    loads = [load for path in (first, *first.parent.glob(f"{VLLM}-*.sock")) if (load := _load_of(str(path)))]
    return Model(sum(one.running for one in loads), sum(one.waiting for one in loads)) if loads else None


def _load_of(path: str) -> Model | None:
    try:
        with socket.socket(socket.AF_UNIX) as probe:  # httpx leaves its socket open when no process listens
            probe.connect(path)
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without certificates: httpx would read them for each question
        text = _get("http://policy/metrics", httpx.HTTPTransport(verify=plain, uds=path)).decode()
        sums = dict.fromkeys((RUNNING, WAITING), 0.0)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in sums:
                    sums[sample.name] += sample.value
    except (OSError, ValueError, httpx.HTTPError):
        return None
    return Model(int(sums[RUNNING]), int(sums[WAITING]))


def _get(url: str, transport: httpx.HTTPTransport | None) -> bytes:
    key = os.environ.get("BROWSER_SERVICE_API_KEY")
    headers = {"x-api-key": key} if key and transport is None else {}
    with httpx.Client(transport=transport, timeout=ASK_S, trust_env=False, headers=headers) as http:
        return http.get(url).raise_for_status().content


class Asker:
    """Polls both services every `ASK_EVERY_S` seconds, in threads. Use as a context."""

    def __init__(self, state_dir: Path) -> None:
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ask")
        self._browsers = _Question(self._threads, lambda: ask_browsers(state_dir))
        self._model = _Question(self._threads, lambda: ask_model(state_dir))

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, *exc: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def newest(self, *, wait: bool = False) -> Services:
        """The newest answers; with `wait` the answers to questions asked now."""
        self._browsers.ask()
        self._model.ask()
        return Services(self._browsers.answer(wait=wait), self._model.answer(wait=wait))


class _Question(Generic[T]):
    """A repeated question with at most one request in flight."""

    def __init__(self, threads: ThreadPoolExecutor, ask: Callable[[], T | None]) -> None:
        self._threads, self._ask = threads, ask
        self._asked = -ASK_EVERY_S
        self._pending: Future[T | None] | None = None
        self._answer: T | None = None

    def ask(self) -> None:
        if self._pending is None and time.monotonic() - self._asked >= ASK_EVERY_S:
            self._asked = time.monotonic()
            self._pending = self._threads.submit(self._ask)

    def answer(self, *, wait: bool) -> T | None:
        if self._pending is not None and (wait or self._pending.done()):
            self._answer, self._pending = self._pending.result(), None
        return self._answer
