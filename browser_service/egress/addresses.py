"""Hosts and addresses: a canonical form for every spelling of a host, and the reach of an address.

canonical_host("0x7F.1") == canonical_host("127.1.") == "127.0.0.1"
reach_of(ip_address("169.254.169.254")) is Reach.NEVER
"""

import ipaddress
import re
import socket
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

import psutil

IPAddress = IPv4Address | IPv6Address

LABEL = re.compile(r"[a-z0-9_-]{1,63}")
LONGEST_HOST = 253
LOCALHOST = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
PROXIES = IPv4Network("127.98.115.0/24")
"""Network of the egress proxies (`egress.py`), those of other instances on this machine included."""


class BadHost(ValueError):
    """The text is not a host. The message says what is wrong with it."""


class Reach(StrEnum):
    """The leases that may reach an address."""

    PUBLIC = "public"
    """Every lease."""
    PRIVATE = "private"
    """A lease that names the site: loopback, private and shared networks."""
    NEVER = "never"
    """No lease: link-local and cloud metadata, multicast, unspecified, reserved, tunnels with an unknown end, our own
    proxies."""


# The IANA special-purpose registries, coarser where no public site can be. The first matching network counts.
_REACH_V4: tuple[tuple[str, Reach], ...] = (
    ("100.100.100.200/32", Reach.NEVER),  # a cloud's metadata inside the shared network
    ("10.0.0.0/8", Reach.PRIVATE),
    ("100.64.0.0/10", Reach.PRIVATE),
    (str(PROXIES), Reach.NEVER),
    ("127.0.0.0/8", Reach.PRIVATE),
    ("172.16.0.0/12", Reach.PRIVATE),
    ("192.168.0.0/16", Reach.PRIVATE),
    ("198.18.0.0/15", Reach.PRIVATE),
    ("0.0.0.0/8", Reach.NEVER),
    ("169.254.0.0/16", Reach.NEVER),
    ("192.0.0.0/24", Reach.NEVER),
    ("192.0.2.0/24", Reach.NEVER),
    ("192.88.99.0/24", Reach.NEVER),
    ("198.51.100.0/24", Reach.NEVER),
    ("203.0.113.0/24", Reach.NEVER),
    ("224.0.0.0/3", Reach.NEVER),
    ("0.0.0.0/0", Reach.PUBLIC),
)
_REACH_V6: tuple[tuple[str, Reach], ...] = (
    ("::1/128", Reach.PRIVATE),
    ("fd00:ec2::254/128", Reach.NEVER),  # clouds' metadata among the local addresses
    ("fd20:ce::254/128", Reach.NEVER),
    ("fc00::/7", Reach.PRIVATE),
    ("2001::/23", Reach.NEVER),  # Teredo and other protocol assignments
    ("2001:db8::/32", Reach.NEVER),
    ("2002::/16", Reach.NEVER),  # 6to4
    ("3fff::/20", Reach.NEVER),
    ("2000::/3", Reach.PUBLIC),
    ("::/0", Reach.NEVER),
)
_V4 = tuple((IPv4Network(network), reach) for network, reach in _REACH_V4)
_V6 = tuple((IPv6Network(network), reach) for network, reach in _REACH_V6)
_NAT64 = IPv6Network("64:ff9b::/96")


class Endpoint(NamedTuple):
    """A canonical host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str, default_port: int | None = None) -> Endpoint:
    """`host:port`, `[v6]:port`, or the host alone if there is a default port. Raises `BadHost`."""
    host, port = split_port(text)
    if port is None:
        port = default_port
    if port is None:
        raise BadHost(f"{text[:100]!r} names no port")
    return Endpoint(canonical_host(host), port)


def split_port(text: str) -> tuple[str, int | None]:
    """The host as written, and the port after it, if any. Raises `BadHost`."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        return text, None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535):
        raise BadHost(f"{port[:20]!r} is no port")
    return host, int(port)


def canonical_host(text: str) -> str:
    """The canonical form of a host, as browsers compute it (WHATWG URL): lower case, no last dot, numbers as addresses.

    Raises `BadHost` for a text that is neither a name nor an address.
    """
    if text.startswith("[") or ":" in text:
        return str(_embedded(_ipv6(text)))
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > LONGEST_HOST or not all(LABEL.fullmatch(label) for label in labels):
        raise BadHost(f"{text[:100]!r} is no host name")
    if labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]):
        return str(_ipv4(text, labels))
    return host


def literal(host: str) -> IPAddress | None:
    """The address of a canonical host that is one, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_localhost(host: str) -> bool:
    """True if a canonical host means this machine by definition, without a resolver."""
    return host == "localhost" or host.endswith(".localhost")


def reach_of(address: IPAddress) -> Reach:
    """The reach of an address; an address with an embedded IPv4 address has the reach of that one."""
    inner = _embedded(address)
    if isinstance(inner, IPv4Address):
        return next(reach for network, reach in _V4 if inner in network)
    return next(reach for network, reach in _V6 if inner in network)


def is_this_machine(address: IPAddress) -> bool:
    """True if the address is loopback or belongs to an interface of this machine."""
    inner = _embedded(address)
    return inner.is_loopback or inner.is_unspecified or str(inner) in _own_addresses()


@cache
def _own_addresses() -> frozenset[str]:
    """Read once: a machine that changes its network restarts its services."""
    families = (socket.AF_INET, socket.AF_INET6)
    return frozenset(
        interface.address.partition("%")[0]
        for interfaces in psutil.net_if_addrs().values()
        for interface in interfaces
        if interface.family in families
    )


def _embedded(address: IPAddress) -> IPAddress:
    """The IPv4 address inside a mapped or NAT64 address; any other address unchanged."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address


def _ipv6(text: str) -> IPv6Address:
    try:
        if text.startswith("[") != text.endswith("]"):
            raise ValueError
        address = IPv6Address(text.removeprefix("[").removesuffix("]"))
        if address.scope_id is not None:
            raise ValueError
    except ValueError:
        raise BadHost(f"{text[:100]!r} is no IPv6 address") from None
    return address


def _ipv4(text: str, labels: list[str]) -> IPv4Address:
    """An IPv4 address of one to four numbers, decimal, octal (`0…`) or hex (`0x…`); the last fills the rest."""
    try:
        numbers = [_number(label) for label in labels]
        *first, last = numbers
        if len(numbers) > 4 or any(number > 255 for number in first) or last >= 256 ** (5 - len(numbers)):
            raise ValueError
    except ValueError:
        raise BadHost(f"{text[:100]!r} is no IPv4 address") from None
    return IPv4Address(sum(number << (24 - 8 * place) for place, number in enumerate(first)) + last)


def _number(label: str) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if label.startswith("0") and label != "0" else 10)
