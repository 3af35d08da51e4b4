"""A chat server's HTTP side: retries where that may help, and reports errors as an `EpisodeFailure` without the key."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx

from agent.failures import EpisodeFailure, failed
from agent.models.faults import READ, RETRIES, refused
from telemetry.propagation import trace_headers

# The server closes a connection after five idle seconds; a request sent at that moment would be lost.
LIMITS = httpx.Limits(max_connections=None, keepalive_expiry=2.0)
RETRIED = frozenset({429, 500, 502, 503, 504})
PAUSE_S = 0.5
"""Seconds before the first retry, doubled for each further one, unless the server sends a time."""


class ChatServer:
    """The server at a UNIX socket or an address. The caller bounds the time of an answer."""

    def __init__(self, *, uds: Path | None, base_url: str, api_key: str | None, longest_pause_s: float) -> None:
        """`longest_pause_s`: no retry when the server asks for a longer pause."""
        self._api_key, self._longest_pause_s, self._is_ours = api_key, longest_pause_s, uds is not None
        # No certificates for a socket of this machine: reading them takes tens of milliseconds, for each worker again.
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = httpx.AsyncHTTPTransport(verify=plain, uds=str(uds), limits=LIMITS) if uds else None
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers, timeout=None)

    @property
    def provider(self) -> str:
        """Its name in OpenTelemetry's conventions: this project's own vLLM, or any server with OpenAI's API."""
        return "vllm" if self._is_ours else "openai"

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Returns the answer, whatever its status; retries a temporary one `RETRIES` times. Raises `EpisodeFailure`."""
        tries = 0
        while True:
            tries += 1
            try:
                response = await self._http.request(method, path, json=body, headers=self._traced())
            except httpx.HTTPError as error:
                # The server closed the connection during the request; sampling has no side effects.
                if isinstance(error, httpx.RemoteProtocolError) and tries <= RETRIES:
                    continue
                message = f"no answer from the model server: {error!r}"
                raise failed("infra", "MODEL_UNREACHABLE", message, retryable=True) from error
            pause_s = _retry_after(response, PAUSE_S * 2 ** (tries - 1))
            if response.status_code not in RETRIED or tries > RETRIES or pause_s > self._longest_pause_s:
                return response
            await asyncio.sleep(pause_s)

    def _traced(self) -> dict[str, str]:
        """The current span, for a server of this project, which is behind a UNIX socket; others learn no ids."""
        return trace_headers() if self._is_ours else {}

    def refusal(self, response: httpx.Response) -> EpisodeFailure:
        """Turns an answer with an error status into a failure. The key, which servers may repeat, is removed."""
        text = response.text.replace(self._api_key, "***") if self._api_key else response.text
        return refused(response.status_code, f"the model server answered {response.status_code}: {text[:READ]}")


def _retry_after(response: httpx.Response, default_s: float) -> float:
    """Seconds from the retry-after header. Dates are ignored: model servers send seconds."""
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return default_s
