"""Health checks of the services over HTTP: one good answer from any of a service's addresses."""

import contextlib
import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """The authorities of the system and of SSL_CERT_FILE, by which an operator adds his own. Read once: it takes a while."""
    return ssl.create_default_context()


def client(timeout_s: float, *, socket: str | None = None) -> httpx.AsyncClient:
    """A client for health checks; `socket`: path of the UNIX socket that the service listens on."""
    # A socket is no matter of certificates, and reading them takes a while.
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = httpx.AsyncHTTPTransport(uds=socket, verify=plain) if socket else None
    return httpx.AsyncClient(transport=transport, timeout=timeout_s, trust_env=False, verify=trusted())


async def is_well(client: httpx.AsyncClient, urls: str) -> bool:
    """True if one of the addresses, separated by commas, answers 200."""
    for url in urls.split(","):
        with contextlib.suppress(httpx.HTTPError):  # not listening yet, or too slow: not ready in both cases
            if (await client.get(url)).status_code == 200:
                return True
    return False


def at_each(urls: str, path: str) -> str:
    """Each of the addresses with a path. Example: `at_each("http://a,http://b", "/x")` -> `"http://a/x,http://b/x"`."""
    return ",".join(f"{url}{path}" for url in urls.split(","))
