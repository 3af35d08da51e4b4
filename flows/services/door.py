"""The door of a model server: the only way to a vLLM on another machine, for those who have the token.

    machine with the loop                                        machine with the model
    flow ──> STATE/vllm.sock ──> door --side far ──(TLS, token)──> door --side near ──> vllm.sock ──> vLLM

vLLM's control endpoints ask for nothing and can load any weights, so vLLM itself never listens on a network. The near
door lets a request in that carries the token; the far one adds the token, so that the loop talks to a UNIX socket wherever
vLLM is. Bodies are streamed both ways. starlette and httpx are the reverse proxy; nginx can't listen and speak for a
private UNIX socket with a token from the environment without a configuration with the secret in it.
"""

import argparse
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from pathlib import Path
from secrets import compare_digest
from typing import Literal, NamedTuple

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

logger = logging.getLogger(__name__)

Side = Literal["near", "far"]
CONNECT_S = 10.0
"""Seconds to open a connection; the answer itself is waited for by the client, which has the deadlines."""
SHORTEST_TOKEN = 16
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
BETWEEN_TWO = frozenset(
    {
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "authorization",
        "content-length",
    }
)
"""Headers of one connection (RFC 9110, 7.6.1), and those that this proxy sets itself."""


class DoorError(Exception):
    """The door cannot be opened. The message is one sentence."""


class Behind(NamedTuple):
    """The target of requests: a UNIX socket, or the address of the near door."""

    uds: Path | None
    url: str

    def client(self) -> httpx.AsyncClient:
        """A client without deadlines for answers; certificates are those of the system and of SSL_CERT_FILE."""
        verify = ssl.create_default_context()
        transport = httpx.AsyncHTTPTransport(uds=str(self.uds)) if self.uds else httpx.AsyncHTTPTransport(verify=verify)
        return httpx.AsyncClient(
            transport=transport, base_url=self.url, timeout=httpx.Timeout(None, connect=CONNECT_S), trust_env=False
        )


def token_in(variable: str) -> str:
    """The token of the environment. Raises `DoorError` if it is missing or too short to be one."""
    token = os.environ.get(variable, "")
    if len(token) < SHORTEST_TOKEN:
        raise DoorError(
            f"expected a token of at least {SHORTEST_TOKEN} characters in the environment variable {variable}, found "
            f"{'none' if not token else f'{len(token)} characters'}; export it on both machines"
        )
    return token


def door(behind: Behind, token: str, side: Side) -> Starlette:
    """The application of one side."""
    opened: list[httpx.AsyncClient] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with behind.client() as client:
            opened.append(client)
            yield

    async def passed(request: Request) -> Response:
        if side == "near" and (refusal := refused(request, token)):
            return refusal
        headers = [(name, value) for name, value in request.headers.items() if name not in BETWEEN_TWO]
        if side == "far":
            headers.append(("authorization", f"Bearer {token}"))
        answer = await forwarded(opened[0], request, headers)
        if side == "far" and answer.status_code in (
            401,
            403,
            502,
        ):  # the last line of this log is what a person is shown
            logger.warning(
                "%s answers %d; is it up, and is the token that of its machine?", behind.url, answer.status_code
            )
        return answer

    return Starlette(routes=[Route("/{path:path}", passed, methods=METHODS)], lifespan=lifespan)


def refused(request: Request, token: str) -> Response | None:
    """The answer to a request that may not come in. The health check is open, and tells nothing else."""
    if "origin" in request.headers:
        return PlainTextResponse("this door is not for web pages\n", 403)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if compare_digest(given.encode(), token.encode()) or (request.method, request.url.path) == ("GET", "/health"):
        return None
    return PlainTextResponse("this door needs its token: Authorization: Bearer TOKEN\n", 401)


async def forwarded(client: httpx.AsyncClient, request: Request, headers: list[tuple[str, str]]) -> Response:
    """The answer from behind the door, streamed; 502 when nobody answers there."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    if "content-length" in request.headers:
        headers.append(("content-length", request.headers["content-length"]))
    asked = client.build_request(request.method, path, headers=headers, content=request.stream() if has_body else None)
    try:
        answer = await client.send(asked, stream=True)
    except httpx.HTTPError as error:
        return PlainTextResponse(f"nobody answers behind this door: {error!r}\n", 502)
    kept = {name: value for name, value in answer.headers.items() if name not in BETWEEN_TWO}
    if "content-length" in answer.headers:
        kept["content-length"] = answer.headers["content-length"]
    return StreamingResponse(raw(answer), answer.status_code, kept, background=BackgroundTask(answer.aclose))


async def raw(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes of an answer as they come, in the encoding that its headers name."""
    async for part in answer.aiter_raw():
        yield part


def _serving(options: argparse.Namespace) -> Callable[[], None]:
    token = token_in(options.token_env)
    behind = (
        Behind(options.to_uds, "http://policy") if options.side == "near" else Behind(None, options.to_url.rstrip("/"))
    )
    settings = uvicorn.Config(
        door(behind, token, options.side),
        host=options.host,
        port=options.port,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        log_level="warning",
        access_log=False,
    )
    # Bound here: uvicorn lets every user of the machine write to a socket that it binds itself.
    sockets = [_private_socket(options.uds)] if options.side == "far" else None
    return partial(uvicorn.Server(settings).run, sockets=sockets)


def _private_socket(path: Path) -> socket.socket:
    """A UNIX socket for this user alone, in the place of one that a killed process left."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    finally:
        os.umask(before)
    return bound


def main() -> None:
    """Serve one side until SIGTERM. Exit status 1 with one sentence when there is no token."""
    parser = argparse.ArgumentParser(description="A door to a model server on another machine.")
    parser.add_argument("--side", choices=("near", "far"), required=True)
    parser.add_argument("--token-env", required=True, help="environment variable with the token")
    parser.add_argument("--host", default="127.0.0.1", help="near: address to listen on")
    parser.add_argument("--port", type=int, default=8200, help="near: port to listen on")
    parser.add_argument("--to-uds", type=Path, help="near: the model server's socket")
    parser.add_argument("--uds", type=Path, help="far: socket to listen on")
    parser.add_argument("--to-url", help="far: address of the near door")
    parser.add_argument("--tls-cert", help="near: certificate, PEM")
    parser.add_argument("--tls-key", help="near: its key, PEM")
    options = parser.parse_args()
    try:
        serve = _serving(options)
    except DoorError as error:
        raise SystemExit(str(error)) from None
    serve()


if __name__ == "__main__":
    main()
