"""The certificates that the client trusts."""

import os
import ssl
from functools import cache
from pathlib import Path

import httpx


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """The certificates that an https address is verified by: the system's authorities, and those in the file.

    None: the file that BROWSER_SERVICE_CA_FILE names, if it is set. Raises ValueError when it has no certificates.
    """
    path = ca_file or os.environ.get("BROWSER_SERVICE_CA_FILE")
    if not path:
        return _system_trust()
    context = _read_system_trust()  # its own: the authority of one service is not trusted for another one
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"expected certificates in PEM format in {path}, and can't read any: {error}") from None
    return context


def _read_system_trust() -> ssl.SSLContext:
    """The authorities of the system and of httpx; reading them takes tens of milliseconds."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


_system_trust = cache(_read_system_trust)
"""One for all clients of this process: nothing changes it later."""
