"""Resolves names by this machine's resolver, in threads of its own, with a short-lived cache.

A resolver may take seconds for one name. The threads are used for nothing else in the service, so a page that asks for
slow names delays only other names.
"""

import asyncio
import socket
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from browser_service.egress.addresses import IPAddress

RESOLVING_AT_ONCE = 64
REMEMBERED = 1_000
# As in Chromium's own cache. The dialler checks the addresses each time.
REMEMBERED_S = 60.0

Answer = asyncio.Future[list[IPAddress]]


class SystemResolver:
    """Called as `await resolver(host)`. Raises `socket.gaierror` when the host has no address."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_AT_ONCE, "resolver")
        self._answers: OrderedDict[str, tuple[float, Answer]] = OrderedDict()
        """Oldest first; unfinished ones too, so that a page with six connections resolves once."""

    async def __call__(self, host: str) -> list[IPAddress]:
        asked_at, answer = self._answers.get(host, (0.0, None))
        if answer is None or asked_at + REMEMBERED_S < time.monotonic() or _has_failed(answer):
            answer = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # may never be awaited
            self._answers.pop(host, None)
            self._answers[host] = (time.monotonic(), answer)
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        return await asyncio.shield(answer)

    def close(self) -> None:
        """Ends the threads; a thread that waits for an answer ends once it has it."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _has_failed(answer: Answer) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)


def _look_up(host: str) -> list[IPAddress]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(address[0]) for *_, address in found if isinstance(address[0], str)))
