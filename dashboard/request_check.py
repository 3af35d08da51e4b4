"""Check of every request before a route (host, origin, log-in, size), and security headers of every response. Plain ASGI.

The pages show titles, addresses and model output from untrusted sources, and hostile pages run in browsers of this same
machine: without log-in it answers only to loopback names (DNS rebinding); it accepts no write that a page of another origin
sends (CSRF); no scripts but its own files, no frames, no content sniffing.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from dashboard.access.access import Access, Person
from dashboard.access.roles import SAFE_METHODS, is_enough, needed_role

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN_PATHS = frozenset({"/", "/docs", "/health", "/api/login", "/api/logout"})
"""Answered without log-in, with the files below /static/: they tell nothing about any rollout."""
MOST_BYTES = 66 << 20
"""Largest body: an upload with what multipart adds."""
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


class Refusal(NamedTuple):
    """An answer in place of the application's."""

    status: int
    code: str
    problem: str


DATABASE_BUSY = Refusal(503, "database_busy", "the database does not answer; try again, or see /health")


class Gate:
    """ASGI middleware around the whole application: it also covers error responses."""

    def __init__(self, app: App, access: Access | None = None) -> None:
        self._app = app
        self._access = access or Access({})

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_headers(message)]}
            await send(message)

        headers: dict[bytes, bytes] = dict(scope["headers"])
        is_open = scope["path"] in OPEN_PATHS or scope["path"].startswith("/static/")
        try:
            needs_login = await self._access.needs_login()
            who = None if is_open else await self._access.who(headers)
        except SQLAlchemyError:
            await _refuse(DATABASE_BUSY, guarded)
            return
        refusal = _wrong_place(scope, headers, needs_login=needs_login) or _not_allowed(scope, who, is_open=is_open)
        if refusal is not None:
            await _refuse(refusal, guarded)
            return
        scope["dashboard.who"] = who or Person("nobody", "viewer")
        await self._app(scope, _bounded(receive), guarded)


def _wrong_place(scope: Message, headers: Mapping[bytes, bytes], *, needs_login: bool) -> Refusal | None:
    """Refuses host names that are not loopback's without log-in, writes of other origins, and bodies that are too large."""
    host = headers.get(b"host", b"").decode("latin-1")
    name = _without_port(host)
    if not needs_login and name not in LOOPBACK_NAMES:
        sentence = (
            f"the dashboard does not answer to the host name {name[:100]!r}; open it as http://127.0.0.1 or localhost"
        )
        return Refusal(421, "wrong_host", sentence)
    if scope["method"] in SAFE_METHODS:
        return None
    if not _same_origin(headers, host):
        return Refusal(403, "other_origin", "a page of another origin may not change anything here")
    size = headers.get(b"content-length", b"0")
    if not size.isdigit() or int(size) > MOST_BYTES:
        return Refusal(413, "body_too_large", f"at most {MOST_BYTES >> 20} MiB fit into a request; split the file")
    return None


def _not_allowed(scope: Message, who: Person | None, *, is_open: bool) -> Refusal | None:
    """Refuses who has not logged in, or has not the role that the request needs."""
    if is_open:
        return None
    if who is None:
        return Refusal(
            401, "login_needed", "log in first: in the browser, or with the header Authorization: Bearer TOKEN"
        )
    needed = needed_role(scope["method"], scope["path"])
    if not is_enough(who.role, needed):
        return Refusal(
            403, "role_needed", f"this needs the role {needed}, and {who.name} is a {who.role}; ask an admin"
        )
    return None


def _same_origin(headers: Mapping[bytes, bytes], host: str) -> bool:
    """True unless a browser says that the request comes from a page of another origin. Programs send neither header."""
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
        return False
    origin = headers.get(b"origin")
    return origin is None or urlsplit(origin.decode("latin-1")).netloc == host


def _bounded(receive: Receive) -> Receive:
    """The same messages until the body is too large; it ends then as if the client had gone. For bodies without a length."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return {"type": "http.disconnect"} if size > MOST_BYTES else message

    return bounded


def _headers(message: Message) -> list[tuple[bytes, bytes]]:
    """The security headers, and no caching unless the route sets it."""
    named = {key.lower() for key, _ in message.get("headers", ())}
    extra = SECURITY_HEADERS if b"cache-control" in named else SECURITY_HEADERS | {"cache-control": "no-cache"}
    return [(key.encode(), value.encode()) for key, value in extra.items()]


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps({"code": refusal.code, "problem": refusal.problem}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
