"""ASGI middleware of a server: the caller's ids in its log, and a span for each request that names its caller's span.

Requests without `traceparent` (health checks, metrics, pages of operators) are not traced. A span has the method, the route as
it is written in the program (`/sessions/{instance_id}/artifacts`) and the status: no address, query, header or body.
Considered: opentelemetry-instrumentation-asgi, which records the address with its query, and tokens can be in it.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from typing import Any

from telemetry.ids import bound
from telemetry.propagation import BAGGAGE, TRACEPARENT, ids_in, parent_of
from telemetry.spans import is_tracing, span, under

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

ROUTE = "telemetry.route"
"""Key in the scope for the route of a request that no router sees: middleware that answers by itself sets it."""


class Observed:
    """The middleware. Add it behind the authentication, so that unauthenticated callers can't write ids into the log."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        with ExitStack() as stack:
            if baggage := headers.get(BAGGAGE.encode()):
                stack.enter_context(bound(**ids_in(baggage.decode("latin-1"))))
            told = headers.get(TRACEPARENT.encode()) if is_tracing() else None
            parent = parent_of(told.decode("latin-1")) if told else None
            if parent is None or parent.otel is None:
                await self._app(scope, receive, send)
            else:
                with under(parent):
                    await self._traced(scope, receive, send)

    async def _traced(self, scope: Message, receive: Receive, send: Send) -> None:
        with span("request", "SERVER", method=scope["method"]) as this:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    this.set(status=message["status"])
                    if message["status"] >= 500:
                        this.fail(str(message["status"]))
                await send(message)

            try:
                await self._app(scope, receive, sent)
            finally:
                route = scope.get(ROUTE) or getattr(scope.get("route"), "path", None)
                this.set(route=route)
                this.rename(f"{scope['method']} {route}" if route else scope["method"])
