"""The egress rules of one lease: its own sites, the public web on ordinary ports, and never a blocked host.

A name is checked before it is resolved, each of its addresses afterwards; only then one of them is dialled.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from browser_service.egress.addresses import (
    BadHost,
    Endpoint,
    IPAddress,
    Reach,
    canonical_host,
    is_this_machine,
    reach_of,
    split_port,
)
from browser_service.errors import BadRequest
from browser_service.models import LeaseRequest
from browser_service.settings import Settings, SettingsError

WEB_PORTS = frozenset({80, 443})
REDIS_PORT = 6379


class Trouble(NamedTuple):
    """The reason why a connection was not made."""

    fault: Literal["policy", "site", "infra"]
    reason: str
    """One word for counters, such as `private`, `port`, `unresolved`."""
    message: str
    """One sentence."""


class NoConnection(Exception):
    """The proxy did not connect."""

    def __init__(self, fault: Literal["policy", "site", "infra"], reason: str, message: str) -> None:
        super().__init__(message)
        self.trouble = Trouble(fault, reason, message)


class HostRule(NamedTuple):
    """A host of a list: `shop.test`, `shop.test:8000`, `shop.test:*`, `*.shop.test:8000`, `[::1]:8000`."""

    host: str
    ports: frozenset[int] | None
    """None: every port."""
    with_subdomains: bool

    @classmethod
    def parse(cls, text: str, web_ports: frozenset[int]) -> "HostRule":
        """`web_ports`: the ports of a host that is written without one. Raises `BadHost`."""
        host, port = (text.removesuffix(":*"), None) if text.endswith(":*") else split_port(text)
        ports = None if text.endswith(":*") else web_ports if port is None else frozenset({port})
        return cls(canonical_host(host.removeprefix("*.")), ports, host.startswith("*."))

    def fits(self, endpoint: Endpoint) -> bool:
        """True if the rule covers the endpoint."""
        if self.ports is not None and endpoint.port not in self.ports:
            return False
        # `*.shop.test` means the site and all its subdomains.
        return endpoint.host == self.host or (self.with_subdomains and endpoint.host.endswith(f".{self.host}"))


@dataclass(frozen=True)
class ServiceRules:
    """The rules for every lease of the service."""

    sites: tuple[HostRule, ...] = ()
    """Sites of every lease, private ones too."""
    web_ports: frozenset[int] = WEB_PORTS
    allow_private: bool = True
    blocklist: frozenset[str] = frozenset()
    """Canonical hosts, blocked with their subdomains."""
    control_ports: set[int] = field(default_factory=set)
    """Ports of this machine that no page may reach, even if a lease names them."""
    max_bytes: int | None = None

    @classmethod
    def read(cls, settings: Settings) -> "ServiceRules":
        """The rules of the settings and the blocklist file. Raises `SettingsError` when they can't be read."""
        web_ports = WEB_PORTS | settings.egress_ports
        try:
            sites = tuple(HostRule.parse(site, web_ports) for site in settings.egress_sites)
        except BadHost as error:
            raise SettingsError(f"BROWSER_SERVICE_EGRESS_SITES: {error}") from None
        return cls(
            sites=sites,
            web_ports=web_ports,
            allow_private=settings.leases_may_name_private_sites,
            blocklist=read_blocklist(settings.blocklist) if settings.blocklist else frozenset(),
            control_ports=control_ports(settings),
            max_bytes=settings.egress_max_bytes,
        )


@dataclass(frozen=True)
class Policy:
    """The egress rules of one lease."""

    rules: ServiceRules
    sites: tuple[HostRule, ...] = ()
    only_sites: bool = False
    blocked: frozenset[str] = frozenset()
    """Canonical hosts, blocked with their subdomains, on top of the service's own list."""

    @classmethod
    def of(cls, request: LeaseRequest, rules: ServiceRules) -> "Policy":
        """The policy that a lease asks for. Raises `BadRequest` for an invalid host."""
        try:
            return cls(
                rules=rules,
                sites=tuple(HostRule.parse(site, rules.web_ports) for site in request.sites),
                only_sites=request.only_sites,
                blocked=frozenset(canonical_host(host.removeprefix("*.")) for host in request.blocked_hosts),
            )
        except BadHost as error:
            raise BadRequest(f"sites or blocked_hosts: {error}") from None

    def check_name(self, endpoint: Endpoint) -> None:
        """Raises `NoConnection` (policy) if the host or its port is not allowed to this lease, whatever its address."""
        if _is_listed(endpoint.host, self.blocked) or _is_listed(endpoint.host, self.rules.blocklist):
            raise NoConnection("policy", "blocked", f"{endpoint.host} is on the list of blocked hosts")
        if self.is_site(endpoint):
            return
        if self.only_sites:
            raise NoConnection("policy", "not_a_site", f"{endpoint} is none of the sites of this task")
        if endpoint.port not in self.rules.web_ports:
            ports = ", ".join(str(port) for port in sorted(self.rules.web_ports))
            raise NoConnection(
                "policy", "port", f"{endpoint} has a port other than {ports} and is no site of this lease"
            )

    def check_address(self, endpoint: Endpoint, address: IPAddress) -> None:
        """Raises `NoConnection` (policy) if an address of the host is allowed to no lease, or not to this one."""
        reach = reach_of(address)
        if reach is Reach.NEVER:
            raise NoConnection("policy", "address", f"{endpoint} is at {address}, which no page may reach")
        if endpoint.port in self.rules.control_ports and is_this_machine(address):
            raise NoConnection("policy", "control_port", f"{endpoint} is the browser service itself")
        if reach is Reach.PUBLIC or _is_one_of(self.rules.sites, endpoint):
            return
        if not _is_one_of(self.sites, endpoint):
            raise NoConnection("policy", "private", f"{endpoint} is private and no site of this lease")
        if not self.rules.allow_private:
            raise NoConnection("policy", "private", f"{endpoint} is private, which this service lets no lease name")

    def is_site(self, endpoint: Endpoint) -> bool:
        """True if the endpoint belongs to a site of this lease, or of every lease."""
        return _is_one_of(self.sites, endpoint) or _is_one_of(self.rules.sites, endpoint)


def check_hosts(request: LeaseRequest) -> None:
    """Raises `BadRequest` where the lease's `Policy` would; called before a request enters the queue."""
    Policy.of(request, ServiceRules())


def read_blocklist(path: Path) -> frozenset[str]:
    """One host per line, `#` starts a comment; hosts file lines (`0.0.0.0 host`) work too. Raises `SettingsError`."""
    hosts: set[str] = set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the blocklist {path} can't be read: {error}") from error
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        try:
            hosts.update(canonical_host(word.removeprefix("*.")) for word in words[-1:])
        except BadHost as error:
            raise SettingsError(f"the blocklist {path}, line {number}: {error}") from None
    return frozenset(hosts)


def control_ports(settings: Settings) -> set[int]:
    """The service's own port, the ports of its upstream servers, and the configured ones; only those on this machine
    count.
    """
    masters = settings.master_url.split(",") if settings.master_url else []
    ports = {urlsplit(address).port for address in (settings.node_url, *masters) if address}
    if settings.redis_url:
        ports.add(urlsplit(settings.redis_url.get_secret_value()).port or REDIS_PORT)
    return {settings.port, *settings.control_ports, *(port for port in ports if port)}


def _is_one_of(sites: tuple[HostRule, ...], endpoint: Endpoint) -> bool:
    return any(site.fits(endpoint) for site in sites)


def _is_listed(host: str, domains: frozenset[str]) -> bool:
    """True if the host or one of its parent domains is listed."""
    if not domains:
        return False
    labels = host.split(".")
    return any(".".join(labels[first:]) in domains for first in range(len(labels)))
