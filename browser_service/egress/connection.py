"""A browser's connection to the proxy, and the proxy's connection to a site.

    browser <-> FromBrowser <-> ToSite <-> site

Requests are read and checked one by one; the site's answers are passed on unread. That is enough, because browsers send
a request only when the answer to the previous one is complete.
"""

import asyncio
import logging
from typing import Protocol, cast

from browser_service.background import Background
from browser_service.egress.addresses import Endpoint
from browser_service.egress.dial import Dialler
from browser_service.egress.http import END, LONGEST_HEAD, BadRequestHead, RequestHead, parse_head
from browser_service.egress.policy import NoConnection, Policy, Trouble

log = logging.getLogger(__name__)

TUNNEL_OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
STATUS = {"policy": b"403 Forbidden", "site": b"502 Bad Gateway", "infra": b"500 Internal Server Error"}


class Account(Protocol):
    """The owner of a connection, as the connection uses it."""

    policy: Policy | None
    dialling: asyncio.Semaphore

    def count(self, *, sent: int = 0, received: int = 0) -> bool:
        """Adds bytes; False if the limit is exceeded, and every connection is being closed."""
        ...

    def asked(self, endpoint: Endpoint) -> None:
        """Counts a request."""
        ...

    def failed(self, endpoint: Endpoint, trouble: Trouble) -> None:
        """Remembers the reason why an endpoint was not reached."""
        ...

    def reached(self, endpoint: Endpoint) -> None:
        """Forgets earlier trouble with an endpoint."""
        ...

    def opened(self, connection: "FromBrowser") -> None:
        """Registers a connection."""
        ...

    def closed(self, connection: "FromBrowser") -> None:
        """Removes a connection that has ended."""
        ...


class FromBrowser(asyncio.Protocol):
    """The browser's side: reads requests, checks them, connects them."""

    def __init__(self, account: Account, dialler: Dialler, background: Background) -> None:
        self._account = account
        self._dialler = dialler
        self._background = background
        self._transport: asyncio.Transport | None = None
        self._site: ToSite | None = None
        self._endpoint: Endpoint | None = None
        """The endpoint of `_site`."""
        self._unread = bytearray()
        self._body_left = 0
        self._is_raw = False
        """True for a tunnel, or a connection that has switched protocols: its data is not parsed any more."""
        self._is_dialling = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._account.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._account.closed(self)
        if self._site:
            self._site.close()

    def data_received(self, data: bytes) -> None:
        if not self._account.count(sent=len(data)):
            return
        if self._is_raw and self._site and not self._unread:
            self._site.write(data)
            return
        self._unread += data
        self._advance()

    def pause_writing(self) -> None:
        """Pauses the site, because the browser reads slowly."""
        if self._site:
            self._site.pause()

    def resume_writing(self) -> None:
        if self._site:
            self._site.resume()

    def pause(self) -> None:
        """Pauses the browser, because the site reads slowly."""
        if self._transport and not self._is_dialling:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport and not self._is_dialling:
            self._transport.resume_reading()

    def answer(self, data: bytes) -> None:
        """Passes on data of the site."""
        if self._transport and self._account.count(received=len(data)):
            self._transport.write(data)

    def site_gone(self, site: "ToSite") -> None:
        """Ends the connection after the site has closed it; data sent before still arrives."""
        if site is self._site:
            self.close()

    def close(self) -> None:
        """Closes both sides; pending data to the browser still arrives."""
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Aborts both sides at once."""
        if self._transport:
            self._transport.abort()

    def _advance(self) -> None:
        """Passes on the received data, as far as it is checked."""
        while self._unread and not self._is_dialling:
            if self._site and (self._is_raw or self._body_left):
                self._pass_on(len(self._unread) if self._is_raw else self._body_left)
                continue
            end = self._unread.find(END)
            if end < 0:
                if len(self._unread) > LONGEST_HEAD:
                    self._refuse_unreadable("its head has no end")
                return
            head = bytes(self._unread[:end])
            del self._unread[: end + len(END)]
            try:
                self._start(parse_head(head))
            except BadRequestHead as error:
                self._refuse_unreadable(str(error))

    def _pass_on(self, wanted: int) -> None:
        assert self._site is not None
        piece = bytes(self._unread[:wanted])
        del self._unread[: len(piece)]
        self._body_left = max(0, self._body_left - len(piece))
        self._site.write(piece)

    def _start(self, request: RequestHead) -> None:
        """Sends the request over the existing connection, or over a new one."""
        self._account.asked(request.endpoint)
        if self._site and self._endpoint == request.endpoint and not request.is_tunnel:
            self._forward(request, self._site)
            return
        if self._site:
            self._site, old = None, self._site
            old.close()
        self._is_dialling = True
        assert self._transport is not None
        self._transport.pause_reading()
        self._background.start(self._dial(request))

    async def _dial(self, request: RequestHead) -> None:
        site = ToSite(self)
        try:
            async with self._account.dialling:
                policy = self._account.policy
                if policy is None:
                    raise NoConnection("policy", "no_lease", "the browser has no lease")
                await self._dialler.dial(request.endpoint, policy, lambda: site)
            if policy is not self._account.policy:
                raise NoConnection("policy", "no_lease", "the lease ended meanwhile")
        except NoConnection as error:
            site.close()
            self._refuse(request, error.trouble)
        except Exception as error:
            # Any other error here is the proxy's own fault, and must not look like the site's.
            log.exception("the proxy failed")
            site.close()
            message = f"the service's own proxy failed: {type(error).__name__}"
            self._refuse(request, Trouble("infra", "broken", message))
        else:
            self._connected(request, site)

    def _connected(self, request: RequestHead, site: "ToSite") -> None:
        self._is_dialling = False
        if self._transport is None:  # the browser has closed the connection
            site.close()
            return
        self._site, self._endpoint = site, request.endpoint
        self._account.reached(request.endpoint)
        self._forward(request, site)
        if self._transport is not None:
            self._transport.resume_reading()
        self._advance()

    def _forward(self, request: RequestHead, site: "ToSite") -> None:
        if request.is_tunnel:
            self.answer(TUNNEL_OPEN)
        else:
            site.write(request.forward)
        self._is_raw = request.is_tunnel or request.upgrades
        self._body_left = request.body_bytes

    def _refuse(self, request: RequestHead, trouble: Trouble) -> None:
        """Answers only a tunnel. The answer to a plain request would be shown as the site's own, so it gets none."""
        self._is_dialling = False
        self._account.failed(request.endpoint, trouble)
        if self._transport is None:
            return
        if request.is_tunnel:
            status = STATUS[trouble.fault]
            why = f'browser-service; error="{trouble.reason}"'.encode("ascii")
            self._transport.write(b"HTTP/1.1 %b\r\nProxy-Status: %b\r\nContent-Length: 0\r\n\r\n" % (status, why))
        self._unread.clear()
        self._transport.close()

    def _refuse_unreadable(self, reason: str) -> None:
        log.warning("the proxy received an invalid request: %s", reason)
        self._unread.clear()
        if self._transport:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            self._transport.close()


class ToSite(asyncio.Protocol):
    """The site's side: passes on its data."""

    def __init__(self, browser: FromBrowser) -> None:
        self._browser = browser
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._browser.site_gone(self)

    def data_received(self, data: bytes) -> None:
        self._browser.answer(data)

    def pause_writing(self) -> None:
        self._browser.pause()

    def resume_writing(self) -> None:
        self._browser.resume()

    def write(self, data: bytes) -> None:
        """Sends to the site; data for a closed connection is dropped, as the network would."""
        if self._transport:
            self._transport.write(data)

    def pause(self) -> None:
        """Pauses the site, because the browser reads slowly."""
        if self._transport:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport:
            self._transport.resume_reading()

    def close(self) -> None:
        """Ends the connection."""
        if self._transport:
            self._transport.close()
