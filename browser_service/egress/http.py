"""Parses the one kind of message that the proxy reads: the head of a request that a browser sends to a proxy.

CONNECT host:port HTTP/1.1           -> a tunnel (https, ws, wss)
GET http://host:port/path HTTP/1.1   -> forwarded as `GET /path HTTP/1.1`
"""

from typing import NamedTuple

from browser_service.egress.addresses import BadHost, Endpoint, parse_endpoint

LONGEST_HEAD = 256 * 1024  # Chromium's own limit for the head of a response
END = b"\r\n\r\n"
# Hop-by-hop headers; `host` is written anew from the URL itself, so that the two can't differ.
DROPPED = (b"proxy-connection:", b"proxy-authorization:", b"host:")


class BadRequestHead(ValueError):
    """Not a request that a browser sends to a proxy."""


class RequestHead(NamedTuple):
    """The destination and the forwarded head of a request."""

    endpoint: Endpoint
    is_tunnel: bool
    """CONNECT: the data that follows is not read."""
    upgrades: bool
    """True if the data that follows may be another protocol and is not read."""
    forward: bytes
    """The head for the site; empty for a tunnel."""
    body_bytes: int
    """Length of the body that follows."""


def parse_head(head: bytes) -> RequestHead:
    """Reads a head without its final empty line. Raises `BadRequestHead`."""
    first, *lines = head.split(b"\r\n")
    if any(b"\n" in line or b"\r" in line for line in (first, *lines)):
        raise BadRequestHead("a line ends in the middle")
    try:
        method, target, version = first.split(b" ")
        address = target.decode("ascii")
    except (ValueError, UnicodeDecodeError):
        raise BadRequestHead("the first line is no request") from None
    if version != b"HTTP/1.1":
        raise BadRequestHead(f"{version[:20]!r} is no version that browsers speak to a proxy")
    try:
        if method == b"CONNECT":
            return RequestHead(parse_endpoint(address), True, False, b"", 0)
        if not address.startswith("http://"):
            raise BadRequestHead(f"{address[:100]!r} is no http:// address")
        authority, path = _split_address(address.removeprefix("http://"))
        endpoint = parse_endpoint(authority, default_port=80)
    except BadHost as error:
        raise BadRequestHead(str(error)) from None
    kept, body_bytes, upgrades = _headers(lines)
    host = authority.encode("ascii")
    forward = b"\r\n".join((b"%b %b HTTP/1.1" % (method, path), b"Host: " + host, *kept)) + END
    return RequestHead(endpoint, False, upgrades, forward, body_bytes)


def _split_address(rest: str) -> tuple[str, bytes]:
    """The authority, and the path with query, of the text after `http://`."""
    end = min((place for sign in "/?#" if (place := rest.find(sign)) >= 0), default=len(rest))
    path = rest[end:].partition("#")[0]
    return rest[:end], (path if path.startswith("/") else f"/{path}").encode("ascii")


def _headers(lines: list[bytes]) -> tuple[list[bytes], int, bool]:
    """The headers to keep, the length of the body, and True if another protocol is requested."""
    kept: list[bytes] = []
    body_bytes: int | None = None
    upgrades = False
    for line in lines:
        lowered = line[:64].lower()
        if lowered.startswith(DROPPED):
            continue
        if lowered.startswith((b" ", b"\t")) or b":" not in line:
            raise BadRequestHead("a header line has no name")
        if lowered.startswith(b"transfer-encoding:"):
            raise BadRequestHead("a body of unknown length, which browsers don't send over HTTP/1.1")
        if lowered.startswith(b"content-length:"):
            value = line[15:].strip()
            if body_bytes is not None or not (value.isdigit() and len(value) <= 15):
                raise BadRequestHead("the length of the body is unclear")
            body_bytes = int(value)
        upgrades = upgrades or lowered.startswith(b"upgrade:")
        kept.append(line)
    return kept, body_bytes or 0, upgrades
