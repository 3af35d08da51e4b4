"""The proxy that is every browser's only network access: one port per context, each with the policy of its lease.

    egress.open() -> Account (a port) -> context opened with it -> account.policy = Policy.of(lease) -> ... -> close()

Contexts are identified by their port and not by a name and password: with those Playwright intercepts every single
request of a page to add them, and disables the cache. A page can't use the port of another context, because the proxy
does not connect to its own ports.
"""

import asyncio
import logging
import sys
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import ProxySettings

from browser_service.background import Background
from browser_service.egress.addresses import PROXIES, BadHost, Endpoint, parse_endpoint
from browser_service.egress.connection import FromBrowser
from browser_service.egress.dial import Dialler, Resolve
from browser_service.egress.names import SystemResolver
from browser_service.egress.policy import NoConnection, Policy, ServiceRules, Trouble
from browser_service.models import LeaseRequest, Traffic
from browser_service.settings import Settings

log = logging.getLogger(__name__)

# A loopback address on which only such proxies listen; policies refuse all of its network, whichever process listens.
PROXIES_ARE_APART = sys.platform == "linux"
"""True if proxies have an address of their own, which only Linux has without set-up."""
PROXY_HOST = str(PROXIES[1]) if PROXIES_ARE_APART else "127.0.0.1"
# Chromium bypasses proxies for loopback addresses; this removes that rule. It is set explicitly because an environment
# variable disables what Playwright adds by itself.
NOTHING_BYPASSES = "<-loopback>"
RESOLVE_NOTHING = f"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE {PROXY_HOST}"
"""Chromium's flag that leaves name resolution to the proxy."""
REMEMBERED = 1_000
"""Maximum number per lease of hosts counted by name, and of endpoints with remembered trouble."""
HOSTS_SHOWN = 20
DIALLING_AT_ONCE = 16
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass
class Usage:
    """The traffic of one lease."""

    bytes_sent: int = 0
    bytes_received: int = 0
    requests: int = 0
    """Number of plain requests and tunnels."""
    refused: Counter[str] = field(default_factory=Counter)
    """Count by reason, such as `private`, `blocked`, `unresolved`."""
    hosts: Counter[str] = field(default_factory=Counter)
    """Requests and tunnels by host."""

    def traffic(self) -> Traffic:
        """The usage in its public form."""
        return Traffic(
            sent_bytes=self.bytes_sent,
            received_bytes=self.bytes_received,
            requests=self.requests,
            refused=dict(self.refused),
            hosts=dict(self.hosts.most_common(HOSTS_SHOWN)),
        )


class Account:
    """The proxy port of one browser context. Without a policy it connects to nothing."""

    def __init__(self, dialler: Dialler, background: Background, rules: ServiceRules) -> None:
        self.usage = Usage()
        self.broken: Trouble | None = None
        """The proxy's own failure during the current lease."""
        self._dialler = dialler
        self._background = background
        self._rules = rules
        self._policy: Policy | None = None
        self.dialling = asyncio.Semaphore(DIALLING_AT_ONCE)
        """Keeps one lease from taking all threads of the resolver."""
        self._server: asyncio.Server | None = None
        self._connections: set[FromBrowser] = set()
        self._troubles: OrderedDict[Endpoint, Trouble] = OrderedDict()
        self.port = 0

    @property
    def url(self) -> str:
        """The proxy's address for the context."""
        return f"http://{PROXY_HOST}:{self.port}"

    @property
    def proxy(self) -> ProxySettings:
        """Playwright's option for the context. Without the bypass rule Chromium goes to loopback addresses directly."""
        return {"server": self.url, "bypass": NOTHING_BYPASSES}

    @property
    def policy(self) -> Policy | None:
        """The policy of the current lease; None without a lease."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy | None) -> None:
        """Switches to another lease or to none: resets the counters and cuts the connections of the previous lease."""
        self._policy = policy
        self.usage = Usage()
        self.broken = None
        self._troubles.clear()
        self._cut()

    async def listen(self) -> None:
        """Opens the port. Raises OSError."""
        make = lambda: FromBrowser(self, self._dialler, self._background)  # noqa: E731
        self._server = await asyncio.get_running_loop().create_server(make, PROXY_HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Closes the port and everything that is connected."""
        if self._server:
            self._server.close()
        self._policy = None
        self._cut()

    def trouble_with(self, url: str) -> Trouble | None:
        """The reason why the last connection to the URL's host and port failed, or None."""
        if self._is_spent():
            return Trouble("policy", "max_bytes", f"the lease has used up its {self._rules.max_bytes} bytes of traffic")
        try:
            parts = urlsplit(url)
            endpoint = parse_endpoint(parts.netloc.rpartition("@")[2], DEFAULT_PORTS.get(parts.scheme))
        except (BadHost, ValueError):
            return None
        return self._troubles.get(endpoint)

    def count(self, *, sent: int = 0, received: int = 0) -> bool:
        self.usage.bytes_sent += sent
        self.usage.bytes_received += received
        if not self._is_spent():
            return True
        self.usage.refused["max_bytes"] += 1
        self._cut()
        return False

    def asked(self, endpoint: Endpoint) -> None:
        self.usage.requests += 1
        if endpoint.host in self.usage.hosts or len(self.usage.hosts) < REMEMBERED:
            self.usage.hosts[endpoint.host] += 1

    def failed(self, endpoint: Endpoint, trouble: Trouble) -> None:
        self.usage.refused[trouble.reason] += 1
        if trouble.fault == "infra":
            self.broken = self.broken or trouble
        self._troubles[endpoint] = trouble
        if len(self._troubles) > REMEMBERED:
            self._troubles.popitem(last=False)
        log.info("no connection to %s: %s", endpoint, trouble.message)

    def reached(self, endpoint: Endpoint) -> None:
        self._troubles.pop(endpoint, None)

    def opened(self, connection: FromBrowser) -> None:
        self._connections.add(connection)

    def closed(self, connection: FromBrowser) -> None:
        self._connections.discard(connection)

    def _is_spent(self) -> bool:
        limit = self._rules.max_bytes
        return limit is not None and self.usage.bytes_sent + self.usage.bytes_received > limit

    def _cut(self) -> None:
        for connection in list(self._connections):
            connection.abort()


class Egress:
    """All proxy ports of one process. Use as `async with Egress(settings) as egress`."""

    def __init__(self, settings: Settings, resolve: Resolve | None = None) -> None:
        """`resolve`: replaces this machine's resolver. Raises `SettingsError` when the blocklist can't be read."""
        self.rules = ServiceRules.read(settings)
        self._names = SystemResolver()
        self._dialler = Dialler(settings.egress_connect_s, resolve or self._names)
        self._background = Background(NoConnection)
        self._accounts: set[Account] = set()
        self._nowhere: Account | None = None

    async def __aenter__(self) -> "Egress":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Opens the port that connects to nothing."""
        self._nowhere = await self.open()

    @property
    def nowhere(self) -> ProxySettings:
        """The proxy for a browser's own requests, outside of every context: they get no connection."""
        if self._nowhere is None:
            raise RuntimeError("the proxy is not started")
        return self._nowhere.proxy

    async def stop(self) -> None:
        """Closes every port."""
        for account in list(self._accounts):
            self.close(account)
        await self._background.cancel()
        self._names.close()

    async def open(self) -> Account:
        """A port that connects to nothing until it gets a policy. Raises OSError."""
        account = Account(self._dialler, self._background, self.rules)
        await account.listen()
        self._accounts.add(account)
        # Pages never reach `PROXIES`; on another address of this machine the same number may be the port of a site.
        if not PROXIES_ARE_APART:
            self.protect(account.port)
        return account

    def close(self, account: Account) -> None:
        """Closes a port. May be repeated."""
        if account in self._accounts:
            self._accounts.remove(account)
            if not PROXIES_ARE_APART:
                self.rules.control_ports.discard(account.port)
            account.close()

    def protect(self, port: int) -> None:
        """Adds a port of this machine that no page may reach."""
        self.rules.control_ports.add(port)

    def policy(self, request: LeaseRequest) -> Policy:
        """The policy of a lease. Raises `BadRequest`."""
        return Policy.of(request, self.rules)
