"""Forwards calls on a lease from a master or node to the lease's instance, for clients that don't call it directly.

    token in the call  -> the instance that the token names, once its signature is verified: no lookup is needed
    old client         -> the instance of the named node that listens on the port in `<uuid>:<port>`

Plain ASGI, before any route: the body is read once, the answer is streamed.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import httpx

from browser_service.api.request_check import App, Message, Receive, Send, answer
from browser_service.errors import (
    BadRequest,
    BrowserServiceError,
    DeadlineExceeded,
    LeaseMismatch,
    Unreachable,
)
from browser_service.leasing.leases import lease_id_of
from browser_service.leasing.tokens import TierKey
from browser_service.tiers.overview import Overview, lost
from telemetry.http_server import ROUTE
from telemetry.propagation import trace_headers

# Hop-by-hop headers: each connection has its own; `host` and lengths are set anew.
OF_THE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"trailer", b"host", b"content-length"}
)
TOKEN_HEADER = b"x-lease-token"
CONNECT_S = 2.0
LONGEST_DEADLINE_S = 120.0
TRANSFER_S = 10.0
"""Added to the time limit of a step, for the transfer in both directions."""


@dataclass(frozen=True)
class Call:
    """The fields of a call that identify its instance."""

    instance_id: str
    token: str | None
    node: str | None
    deadline_s: float | None


class Forwarding:
    """ASGI middleware of a master or node. Calls that name no lease go to the application's own routes."""

    def __init__(
        self,
        app: App,
        *,
        overview: Overview,
        key: TierKey,
        http: httpx.AsyncClient,
        paths: Iterable[str],
        deadline_s: float,
    ) -> None:
        """`paths`: routes on a lease, as FastAPI writes them. `deadline_s`: deadline of calls that state none."""
        self._app = app
        self._overview = overview
        self._key = key
        self._http = http
        self._route_of = _matcher(paths)
        self._deadline_s = deadline_s

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        route = self._route_of(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = route
        try:
            body = await _whole_body(receive)
            call = _call(scope, body)
            if call is None:
                await self._app(scope, _replayed(body, receive), send)
                return
            instance = await self._instance(call)
            deadline_s = self._deadline_s if call.deadline_s is None else call.deadline_s + TRANSFER_S
            await self._pass_on(instance, scope, body, deadline_s, send)
        except BrowserServiceError as error:
            await answer(error, send, scope["path"])

    async def _instance(self, call: Call) -> str:
        """The address of the lease's instance. Raises `LeaseNotFound`, `LeaseMismatch`, `UnknownNode`."""
        lease_id = lease_id_of(call.instance_id)
        if call.token is None:
            return await self._overview.instance_of(call.instance_id, call.node)
        if where := self._key.read(lease_id, call.token):
            return where.instance
        await self._overview.lease_of(call.instance_id)  # raises if there is no such lease
        raise LeaseMismatch(f"the token is not that of lease {lease_id[:80]}; use the one that /get answered")

    async def _pass_on(self, instance: str, scope: Message, body: bytes, deadline_s: float, send: Send) -> None:
        url = instance + scope["raw_path"].decode("latin-1")
        if query := scope["query_string"]:
            url += "?" + query.decode("latin-1")
        traced = {name.encode(): value.encode() for name, value in trace_headers().items()}
        headers = [
            (name, value) for name, value in scope["headers"] if name not in OF_THE_CONNECTION and name not in traced
        ]
        headers += traced.items()
        timeout = httpx.Timeout(deadline_s, connect=CONNECT_S)
        request = self._http.build_request(scope["method"], url, headers=headers, content=body, timeout=timeout)
        response = await self._answered(request, instance, deadline_s)
        try:
            kept = [(name.lower(), value) for name, value in response.headers.raw]
            kept = [(name, value) for name, value in kept if name == b"content-length" or name not in OF_THE_CONNECTION]
            await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    async def _answered(self, request: httpx.Request, instance: str, deadline_s: float) -> httpx.Response:
        """The head of the instance's answer. Raises the error that its silence means."""
        try:
            return await self._http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if self._overview.knows(instance):
                # Old clients take a picture again when they read the word "Connection", and give up otherwise.
                raise Unreachable(
                    f"Connection to the instance at {instance} failed; it is still known, try again"
                ) from error
            raise lost(f"the instance at {instance} is gone and its leases with it") from error
        except httpx.TimeoutException as error:
            raise DeadlineExceeded(f"the instance at {instance} gave no answer within {deadline_s:g} s") from error
        except httpx.HTTPError as error:
            raise lost(f"the instance at {instance} went away during the call") from error


def _matcher(paths: Iterable[str]) -> Callable[[str], str | None]:
    """Returns a function from a path to the route that it matches; `{name}` stands for one path segment."""
    routes = list(paths)
    patterns = [
        "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in _parts(path)) for path in routes
    ]
    expression = re.compile("|".join(f"({pattern})" for pattern in patterns))

    def route_of(path: str) -> str | None:
        found = expression.fullmatch(path)
        return routes[found.lastindex - 1] if found and found.lastindex else None

    return route_of


def _parts(path: str) -> list[str]:
    return re.split(r"(\{[^}]*\})", path)


def _call(scope: Message, body: bytes) -> Call | None:
    """The caller and lease of a call, from the body, the query, the path or the header; None if no lease is named."""
    said: dict[str, Any] = {
        name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()
    }
    if body:
        said |= _json_object(body)
    instance_id = said.get("instance_id")
    if instance_id is None and (found := re.match(r"/sessions/([^/]+)/", scope["path"])):
        instance_id = found.group(1)
    if instance_id is None:
        return None
    by_header = next((value.decode("latin-1") for name, value in scope["headers"] if name == TOKEN_HEADER), None)
    token, node, deadline_s = said.get("token") or by_header, said.get("node"), said.get("deadline_s")
    if not isinstance(instance_id, str) or not isinstance(token, str | None) or not isinstance(node, str | None):
        raise BadRequest("instance_id, token and node must be strings")
    has_deadline = isinstance(deadline_s, int | float) and 0 < deadline_s <= LONGEST_DEADLINE_S
    return Call(instance_id, token, node, float(deadline_s) if has_deadline else None)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise BadRequest("the body must be a JSON object")
    return said


async def _whole_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the body ended early")  # if it is too large, the gate answers instead
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that yields the body again, for the application's own routes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
