"""Opens a connection to a host: resolves once, checks every address, dials one of the checked addresses.

The name is not resolved a second time, so a name that changes its address between check and use (DNS rebinding) gains
nothing.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable

from browser_service.egress.addresses import LOCALHOST, Endpoint, IPAddress, is_localhost, literal
from browser_service.egress.policy import NoConnection, Policy

Resolve = Callable[[str], Awaitable[list[IPAddress]]]
"""The addresses of a canonical host name, best first. Raises `socket.gaierror` when there are none."""

# Errors of this machine, not of the site: no more descriptors, memory or ports.
OUR_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EPERM})


class Dialler:
    """Opens the connections of all leases."""

    def __init__(self, deadline_s: float, resolve: Resolve) -> None:
        """`deadline_s`: for resolving and connecting together."""
        self._deadline_s = deadline_s
        self._resolve = resolve

    async def dial(self, endpoint: Endpoint, policy: Policy, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Connects the protocol to the endpoint. Raises `NoConnection`, which names the side at fault."""
        policy.check_name(endpoint)
        try:
            async with asyncio.timeout(self._deadline_s):
                addresses = await self._addresses(endpoint.host)
                for address in addresses:
                    policy.check_address(endpoint, address)
                await _connect(endpoint, addresses, protocol)
        except TimeoutError:
            message = f"{endpoint} did not answer within {self._deadline_s:g} s"
            raise NoConnection("site", "timeout", message) from None

    async def _addresses(self, host: str) -> list[IPAddress]:
        if (address := literal(host)) is not None:
            return [address]
        if is_localhost(host):
            return list(LOCALHOST)
        try:
            return await self._resolve(host)
        except (socket.gaierror, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a name"
            raise NoConnection("site", "unresolved", f"{host} can't be resolved: {reason}") from None


async def _connect(endpoint: Endpoint, addresses: list[IPAddress], protocol: Callable[[], asyncio.Protocol]) -> None:
    """Tries the addresses one after the other."""
    last: OSError | None = None
    for address in addresses:
        try:
            await asyncio.get_running_loop().create_connection(protocol, str(address), endpoint.port)
            return
        except OSError as error:
            if error.errno in OUR_OWN:
                message = f"the service itself could not connect to {endpoint}: {error.strerror}"
                raise NoConnection("infra", "exhausted", message) from error
            last = error
    reason = (last.strerror or str(last)) if last else "it has no address"
    raise NoConnection("site", "unreachable", f"{endpoint} can't be reached: {reason}") from None
