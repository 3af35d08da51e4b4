"""Checks every request before a route: Host, Origin, size, content type, key. Plain ASGI, a few microseconds.

The pages in our own browsers can send requests to this service: the Host check stops requests by a foreign name (DNS
rebinding), the Origin check and the content type stop those that a page may send without a CORS preflight.
"""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect

from browser_service.errors import BadRequest, BrowserServiceError, Unauthorized
from browser_service.leasing.tokens import same_secret
from browser_service.models import Problem
from browser_service.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
M = TypeVar("M", bound=BaseModel)
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/giving"})
LIVE_PATH = re.compile(r"/sessions/[^/]+/live(/stream)?")
TIER_PATHS = "/tier/"
OLD_WORDS = {
    "/execute": "Failed to execute command",
    "/screenshot": "Failed to get screenshot",
    "/metadata": "Failed to get screenshot",
}
"""Start of an OmniBoxes error message, by path (/metadata has that of /screenshot); on other paths only the `detail` of
every problem is sent."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROBLEM_TYPE = b"application/problem+json"


class BodyTooLarge(BrowserServiceError):
    """The request's body is larger than the service reads."""

    code, status, fault, retryable = "BODY_TOO_LARGE", 413, "client", False


class WrongMediaType(BrowserServiceError):
    """The body is not JSON."""

    code, status, fault, retryable = "WRONG_MEDIA_TYPE", 415, "client", False


class WrongHost(BrowserServiceError):
    """The request names a host that is not this service's."""

    code, status, fault, retryable = "WRONG_HOST", 421, "client", False


class ForeignOrigin(BrowserServiceError):
    """A page of another origin sent the request."""

    code, status, fault, retryable = "FOREIGN_ORIGIN", 403, "client", False


class Gate:
    """ASGI middleware around the application."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        names = {settings.host, settings.advertise_host or settings.host}
        self._hosts = {"127.0.0.1", "localhost", "[::1]", *names, *(f"[{name}]" for name in names)}
        self._any_host = settings.host in ("0.0.0.0", "::")
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        self._tier_key = settings.tier_key.get_secret_value() if settings.tier_key else None
        self._limit = settings.body_limit_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            self._check(scope, headers)
        except BrowserServiceError as error:
            await answer(error, send)
            return
        body = _Body(receive, send, self._limit)
        try:
            await self._app(scope, body.receive, body.send)
        except ClientDisconnect:
            if not body.is_too_large:
                raise
        if body.is_too_large and not body.is_answered:
            await answer(
                BodyTooLarge(f"the body has more than {self._limit} bytes, which are the most that are read"), send
            )

    def _check(self, scope: Message, headers: dict[bytes, bytes]) -> None:
        name = _without_port(headers.get(b"host", b"").decode("latin-1"))
        if name not in self._hosts and not (self._any_host and _is_address(name)):
            raise WrongHost(
                f"this service does not answer to the host name {name[:100]!r}; use the address it listens on"
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if (
            origin
            and scope["method"] not in SAFE_METHODS
            and _without_port(origin.partition("://")[2]) not in self._hosts
        ):
            raise ForeignOrigin(f"pages of {origin[:100]!r} may not send requests here")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limit:
            raise BodyTooLarge(f"the body has {length.decode('latin-1')[:20]} bytes; at most {self._limit} are read")
        has_body = length != b"0" or b"transfer-encoding" in headers
        media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if scope["method"] == "POST" and has_body and media_type != b"application/json":
            found = media_type.decode("latin-1")[:80] or "none"
            raise WrongMediaType(f"a body must be sent as application/json, found {found}")
        if scope["path"].startswith(TIER_PATHS):
            if self._tier_key is None or not same_secret(_text(headers.get(b"x-tier-key")), self._tier_key):
                raise Unauthorized(
                    "only the processes of this service may call this; their key is BROWSER_SERVICE_TIER_KEY"
                )
        elif self._key is not None and not _is_open(scope):
            given = _text(headers.get(b"x-api-key"))
            if given is None:
                raise Unauthorized("API Key is missing")
            if not same_secret(given, self._key):
                raise Unauthorized("Invalid API Key.")


class _Body:
    """A request's body, up to the limit. A body without a declared length is cut off there; the application's answer
    to the incomplete body is not sent.
    """

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive, self._send, self._limit = receive, send, limit
        self._read = 0
        self.is_answered = False

    @property
    def is_too_large(self) -> bool:
        return self._read > self._limit

    async def receive(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.is_too_large else message

    async def send(self, message: Message) -> None:
        if self.is_answered or not self.is_too_large:
            self.is_answered = True
            await self._send(message)


def _is_open(scope: Message) -> bool:
    """True if the request needs no API key: the live view sends no header, the lease's token in its URL counts.

    The query is parsed as the route parses it, because without a token the route assumes an old client.
    """
    if LIVE_PATH.fullmatch(scope["path"]):
        return bool(QueryParams(scope["query_string"]).get("token"))
    return scope["path"] in OPEN_PATHS


def problem_bytes(problem: Problem) -> bytes:
    """The problem as JSON, with the field that old clients read (`detail`)."""
    return json.dumps(problem.model_dump(exclude_none=True)).encode()


def parsed(model: type[M], body: bytes) -> M:
    """The body as a model. Raises `BadRequest` that names the field."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise bad_request(error, "body") from None


def bad_request(error: ValidationError, where: str) -> BadRequest:
    """The first validation error, as one sentence."""
    first = error.errors()[0]
    return BadRequest(f"{'.'.join([where, *map(str, first['loc'])])}: {first['msg']}")


def refusal(problem: Problem, path: str) -> tuple[bytes, bytes]:
    """Body and media type of the answer to a failed call: a problem, on old paths with the OmniBoxes fields too."""
    if path not in OLD_WORDS:
        return problem_bytes(problem), PROBLEM_TYPE
    old = {"status": "error", "message": f"{OLD_WORDS[path]}: {problem.detail}"}
    said = old | problem.model_dump(exclude_none=True, exclude={"status"})
    return json.dumps(said, separators=(",", ":")).encode(), b"application/json"


async def answer(error: BrowserServiceError, send: Send, path: str = "") -> None:
    """Sends the error as a complete response to a call of the path."""
    body, media_type = refusal(error.problem(), path)
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    if error.retry_after_s:
        headers.append((b"retry-after", str(max(1, round(error.retry_after_s))).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    return bool(name) and all(part.isdigit() for part in name.split("."))
