"""Host check of every request, and security headers of every response. Plain ASGI.

The pages show titles, addresses and model output from untrusted sources, and hostile pages run in browsers of this same
machine: answers only to loopback names (DNS rebinding), no scripts but its own files, no frames, no content sniffing.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
CONTENT_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """ASGI middleware around the whole application: it also covers error responses."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_headers(message)]}
            await send(message)

        headers: dict[bytes, bytes] = dict(scope["headers"])
        name = _without_port(headers.get(b"host", b"").decode("latin-1"))
        if name in LOOPBACK_NAMES:
            await self._app(scope, receive, guarded)
        else:
            await _refuse(name, guarded)


def _headers(message: Message) -> list[tuple[bytes, bytes]]:
    """The security headers, and no caching unless the route sets it."""
    named = {key.lower() for key, _ in message.get("headers", ())}
    extra = SECURITY_HEADERS if b"cache-control" in named else SECURITY_HEADERS | {"cache-control": "no-cache"}
    return [(key.encode(), value.encode()) for key, value in extra.items()]


async def _refuse(name: str, send: Send) -> None:
    problem = f"the dashboard does not answer to the host name {name[:100]!r}; open it as http://127.0.0.1 or localhost"
    body = json.dumps({"problem": problem}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
