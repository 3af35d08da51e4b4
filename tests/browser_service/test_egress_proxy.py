"""The proxy as a browser uses it: requests on one connection, tunnels, upgrades, refusals, and the end of a lease."""

import asyncio
import errno
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import pytest
from eventually import PATIENCE_S

from browser_service.egress.addresses import Endpoint, IPAddress
from browser_service.egress.egress import PROXY_HOST, Account, Egress
from browser_service.egress.policy import NoConnection
from browser_service.models import LeaseRequest
from browser_service.settings import Settings

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Upstream:
    """A site that keeps every byte it gets."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.heard: list[bytes] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def upstream(talk: Talk | None = None) -> AsyncGenerator[Upstream, None]:
    """Answers each request with `ok`, or does what `talk` does."""
    site = Upstream()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        site.connections += 1
        try:
            if talk:
                await talk(reader, writer)
                return
            while head := await reader.readuntil(b"\r\n\r\n"):
                site.heard.append(head)
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


async def no_names(host: str) -> list[IPAddress]:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


@asynccontextmanager
async def proxy(
    resolve: Callable[[str], Awaitable[list[IPAddress]]] = no_names, settings: Settings | None = None, **request: Any
) -> AsyncGenerator[Account, None]:
    """A way out with the policy of this lease."""
    async with Egress(settings or Settings(), resolve) as egress:
        account = await egress.open()
        account.policy = egress.policy(LeaseRequest(**request))
        yield account


class Client:
    """A browser's connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, head: str, body: bytes = b"") -> bytes:
        """Sends a request; the head of the answer and a body of two bytes, or nothing when the connection ended."""
        self.writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return await self.answer()

    async def answer(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
            length = 2 if b"Content-Length: 2" in head else 0
            return head + await self.reader.readexactly(length)

    async def is_over(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def connected(account: Account) -> AsyncGenerator[Client, None]:
    reader, writer = await asyncio.open_connection(PROXY_HOST, account.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_requests_on_one_connection_reach_the_site_on_one_connection() -> None:
    async with upstream() as site, proxy(sites=[site.host]) as account, connected(account) as client:
        for path in ("/a?b=c", "/", "/x#fragment"):
            head = f"GET http://{site.host}{path} HTTP/1.1\nHost: other.test\nProxy-Connection: keep-alive\nCookie: a=b"
            assert await client.ask(head) == ANSWER
        assert site.connections == 1
        first, *lines = site.heard[0].decode().split("\r\n")
        assert first == "GET /a?b=c HTTP/1.1"
        assert lines == [f"Host: {site.host}", "Cookie: a=b", "", ""], "the host is the address's, whatever was said"
        assert site.heard[2].startswith(b"GET /x HTTP/1.1\r\n")
        assert account.usage.requests == 3 and account.usage.hosts == {"127.0.0.1": 3}
        assert account.usage.bytes_received == 3 * len(ANSWER)
        assert account.usage.bytes_sent > sum(map(len, site.heard)) - 3 * 20


async def test_a_body_is_passed_on_and_the_next_request_is_checked_again() -> None:
    async with upstream() as site, upstream() as other, proxy(sites=[site.host]) as account:
        async with connected(account) as client:
            inner = f"GET http://{other.host}/ HTTP/1.1\r\n\r\n".encode()
            head = f"POST http://{site.host}/form HTTP/1.1\nContent-Length: {len(inner)}"
            # What looks like a request inside a body is part of the body: the site reads it as its next request.
            assert await client.ask(head, inner) == ANSWER
            assert await client.answer() == ANSWER
            assert len(site.heard) == 2 and other.connections == 0
            assert await client.ask(f"GET http://{other.host}/ HTTP/1.1") == b"", "another site on the same connection"
            assert other.connections == 0
        assert account.usage.refused == {"port": 1}
        trouble = account.trouble_with(f"http://{other.host}/x")
        assert trouble and trouble.fault == "policy" and other.host in trouble.message
        assert account.trouble_with(f"http://{site.host}/") is None


async def test_one_connection_may_go_to_several_sites_in_turn() -> None:
    async with upstream() as one, upstream() as two, proxy(sites=[one.host, two.host]) as account:
        async with connected(account) as client:
            for site in (one, two, one):
                assert await client.ask(f"GET http://{site.host}/ HTTP/1.1") == ANSWER
        assert (len(one.heard), len(two.heard)) == (2, 1)


async def test_a_tunnel_passes_bytes_both_ways_and_is_checked_once() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()

    async with upstream(echo) as site, proxy(sites=[site.host]) as account, connected(account) as client:
        assert (await client.ask(f"CONNECT {site.host} HTTP/1.1\nHost: {site.host}")).startswith(b"HTTP/1.1 200 ")
        sent = bytes(range(256)) * 8_192  # more than any buffer between the two
        client.writer.write(sent)
        async with asyncio.timeout(PATIENCE_S):
            assert await client.reader.readexactly(len(sent)) == sent
        assert account.usage.bytes_received >= len(sent) and account.usage.requests == 1


async def test_an_upgraded_connection_is_not_read_any_more() -> None:
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        writer.write(await reader.readexactly(5))

    async with upstream(upgrade) as site, proxy(sites=[site.host]) as account, connected(account) as client:
        assert b" 101 " in await client.ask(
            f"GET http://{site.host}/ws HTTP/1.1\nConnection: Upgrade\nUpgrade: websocket"
        )
        client.writer.write(b"\r\n\r\nx")
        assert await client.reader.readexactly(5) == b"\r\n\r\nx"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("127.0.0.1:1", "port"),
        ("127.0.0.1:80", "private"),
        ("0x7f.1:443", "private"),
        ("169.254.169.254:80", "address"),
    ],
)
async def test_a_refused_tunnel_says_so_and_a_refused_request_gets_no_answer(target: str, reason: str) -> None:
    async with proxy() as account:
        async with connected(account) as client:
            answer = await client.ask(f"CONNECT {target} HTTP/1.1")
            assert answer.startswith(b"HTTP/1.1 403 ") and f'error="{reason}"'.encode() in answer
            assert await client.is_over()
        async with connected(account) as client:
            assert await client.ask(f"GET http://{target}/ HTTP/1.1") == b""
        assert account.usage.refused == {reason: 2}
        assert account.usage.bytes_received == 0


async def test_without_a_lease_nothing_is_reached_and_its_end_cuts_what_is_open() -> None:
    async with upstream() as site, proxy(sites=[site.host]) as account:
        async with connected(account) as client, connected(account) as tunnel:
            assert await client.ask(f"GET http://{site.host}/ HTTP/1.1") == ANSWER
            assert b" 200 " in await tunnel.ask(f"CONNECT {site.host} HTTP/1.1")
            account.policy = None
            assert await client.is_over() and await tunnel.is_over()
        async with connected(account) as client:
            assert b" 403 " in await client.ask(f"CONNECT {site.host} HTTP/1.1")
        assert account.usage.refused == {"no_lease": 1}
        assert len(site.heard) == 1


async def test_a_lease_that_ends_while_its_site_is_dialled_reaches_nothing() -> None:
    resolving, go_on = asyncio.Event(), asyncio.Event()

    async def slow(host: str) -> list[IPAddress]:
        resolving.set()
        await go_on.wait()
        return [ip_address("127.0.0.1")]

    async with upstream() as site, proxy(slow, sites=[f"slow.test:{site.port}"]) as account:
        async with connected(account) as client:
            client.writer.write(f"GET http://slow.test:{site.port}/ HTTP/1.1\r\n\r\n".encode())
            await resolving.wait()
            account.policy = None
            go_on.set()
            assert await client.is_over()
        assert site.heard == []


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """DNS rebinding: public when it is checked, private when it is used."""
    asked: list[str] = []

    async def rebinding(host: str) -> list[IPAddress]:
        asked.append(host)
        return [ip_address("2a00:ffff::1" if len(asked) % 2 else "127.0.0.1")]

    async with upstream() as site:
        settings = Settings(egress_ports=frozenset({site.port}), egress_connect_s=0.3)
        async with proxy(rebinding, settings) as account:
            for _ in range(4):
                async with connected(account) as client:
                    assert await client.ask(f"GET http://rebind.test:{site.port}/ HTTP/1.1") == b""
            assert account.usage.refused["private"] == 2
        assert site.connections == 0 and len(asked) == 4, "each connection resolves once"


async def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    async def mixed(host: str) -> list[IPAddress]:
        return [ip_address("8.8.8.8"), ip_address("127.0.0.1")]

    async with proxy(mixed) as account, connected(account) as client:
        assert b'error="private"' in await client.ask("CONNECT mixed.test:443 HTTP/1.1")


async def test_the_address_that_was_checked_is_dialled() -> None:
    async def loopback(host: str) -> list[IPAddress]:
        return [ip_address("127.0.0.77"), ip_address("127.0.0.1")]

    async with upstream() as site, proxy(loopback, sites=[f"shop.test:{site.port}"]) as account:
        async with connected(account) as client:  # nobody listens at the first address, so the second is taken
            assert await client.ask(f"GET http://shop.test:{site.port}/ HTTP/1.1") == ANSWER
        assert f"Host: shop.test:{site.port}".encode() in site.heard[0]


async def test_a_name_is_resolved_once_for_all_connections_and_again_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        time.sleep(0.05)
        if host == "flaky.test" and asked.count(host) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))] * 2

    async with upstream() as site:
        names = [f"steady.test:{site.port}", f"flaky.test:{site.port}"]
        async with Egress(Settings()) as egress:
            account = await egress.open()
            account.policy = egress.policy(LeaseRequest(sites=names))

            async def get(name: str) -> bytes:
                async with connected(account) as client:
                    return await client.ask(f"GET http://{name}/ HTTP/1.1")

            with monkeypatch.context() as patch:
                patch.setattr(socket, "getaddrinfo", look_up)
                assert await asyncio.gather(*(get(names[0]) for _ in range(6))) == [ANSWER] * 6
                assert await get(names[0]) == ANSWER
                assert [await get(names[1]) for _ in range(3)] == [b"", ANSWER, ANSWER]
    assert asked == ["steady.test", "flaky.test", "flaky.test"]


async def test_who_is_to_blame_for_a_connection_that_fails() -> None:
    async def resolve(host: str) -> list[IPAddress]:
        if host == "exhausted.test":
            raise RuntimeError("out of everything")
        if host == "down.test":
            return [ip_address("127.0.0.1")]
        if host == "hangs.test":
            await asyncio.sleep(60)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = unused.getsockname()[1]
        sites = [f"{name}.test:{port}" for name in ("down", "missing", "hangs", "exhausted")]
        async with proxy(resolve, Settings(egress_connect_s=1), sites=sites) as account:
            for name, status, fault, word in (
                ("down", b" 502 ", "site", "Connect call failed"),
                ("missing", b" 502 ", "site", "can't be resolved"),
                ("hangs", b" 502 ", "site", "within 1 s"),
                ("exhausted", b" 500 ", "infra", "own proxy failed"),
            ):
                async with connected(account) as client:
                    assert status in await client.ask(f"CONNECT {name}.test:{port} HTTP/1.1")
                trouble = account.trouble_with(f"https://{name}.test:{port}/")
                assert trouble and trouble.fault == fault and word in trouble.message, name


async def test_no_more_descriptors_are_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream() as site, proxy(sites=[site.host]) as account, connected(account) as client:
        assert await client.ask(f"GET http://{site.host}/ HTTP/1.1") == ANSWER  # so the proxy has the connection

        def exhausted(*args: object, **kwargs: object) -> socket.socket:
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", exhausted)
            assert b" 500 " in await client.ask(f"CONNECT {site.host} HTTP/1.1")
        trouble = account.trouble_with(f"http://{site.host}/")
        assert trouble and trouble.fault == "infra" and "Too many open files" in trouble.message


async def test_trouble_is_forgotten_once_the_site_is_back() -> None:
    async with upstream() as site:
        asked = 0

        async def flaky(host: str) -> list[IPAddress]:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return [ip_address("127.0.0.1")]

        async with proxy(flaky, sites=[f"flaky.test:{site.port}"]) as account:
            for has_trouble in (True, False):
                async with connected(account) as client:
                    await client.ask(f"GET http://flaky.test:{site.port}/ HTTP/1.1")
                assert (account.trouble_with(f"http://flaky.test:{site.port}/") is not None) == has_trouble


async def test_a_lease_has_its_share_of_traffic_and_no_more() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async with (
        upstream(flood) as site,
        proxy(settings=Settings(egress_max_bytes=100_000), sites=[site.host]) as account,
    ):
        async with connected(account) as client:
            client.writer.write(f"GET http://{site.host}/ HTTP/1.1\r\n\r\n".encode())
            got = 0
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while data := await client.reader.read(65_536):
                        got += len(data)
            except ConnectionError:
                pass
            assert got <= 100_000
        trouble = account.trouble_with("https://anything.test/")
        assert trouble and trouble.reason == "max_bytes"
        account.policy = account.policy
        assert account.trouble_with("https://anything.test/") is None, "the next lease has its own share"


async def test_no_context_can_use_the_way_out_of_another() -> None:
    async with upstream() as site, Egress(Settings(), no_names) as egress:
        one, two = await egress.open(), await egress.open()
        two.policy = egress.policy(LeaseRequest(sites=[site.host]))
        one.policy = egress.policy(LeaseRequest(sites=[f"{PROXY_HOST}:{two.port}"]))
        async with connected(one) as client:
            assert b'error="address"' in await client.ask(f"CONNECT {PROXY_HOST}:{two.port} HTTP/1.1")
        assert two.usage.requests == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET ftp://a.test/ HTTP/1.1\r\n\r\n", b"GET http://a.test/\r\n\r\n",
        b"GET http://a.test/ HTTP/1.0\r\n\r\n", b"CONNECT a.test HTTP/1.1\r\n\r\n", b"GET http:///x HTTP/1.1\r\n\r\n",
        b"GET http://a.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST http://a.test/ HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        b"POST http://a.test/ HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"GET http://a.test/ HTTP/1.1\r\nA: b\nHost: evil.test\r\n\r\n", b"GET http://a.test/\nx HTTP/1.1\r\n\r\n",
        b"GET http://a.test/ HTTP/1.1\r\n folded\r\n\r\n", b"GET http://a@b.test/ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET http://a.test/ HTTP/1.1\r\n" + b"a: b\r\n" * 60_000,
    ],
)  # fmt: skip
async def test_what_no_browser_sends_is_refused_and_costs_one_connection(nonsense: bytes) -> None:
    async with upstream() as site, proxy(sites=[site.host]) as account:
        async with connected(account) as client:
            client.writer.write(nonsense)
            answer = await client.answer()
            assert b" 400 " in answer or not answer  # the rest of a long head may overtake the answer with a reset
            assert await client.is_over()
        async with connected(account) as client:
            assert await client.ask(f"GET http://{site.host}/ HTTP/1.1") == ANSWER


async def test_closing_leaves_nothing_open() -> None:
    async with upstream() as site:
        async with Egress(Settings(), no_names) as egress:
            account = await egress.open()
            account.policy = egress.policy(LeaseRequest(sites=[site.host]))
            async with connected(account) as client:
                assert await client.ask(f"GET http://{site.host}/ HTTP/1.1") == ANSWER
                egress.close(account)
                assert await client.is_over()
            egress.close(account)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(PROXY_HOST, account.port)


async def test_a_site_may_have_the_number_of_a_proxys_port() -> None:
    """Proxies have an address of their own, so the same number on another one is a site's: chance gives it now and then."""
    async with Egress(Settings(), no_names) as egress:
        account = await egress.open()
        site, proxy = Endpoint("127.0.0.1", account.port), Endpoint(PROXY_HOST, account.port)
        policy = egress.policy(LeaseRequest(sites=[str(site), str(proxy)]))
        policy.check_name(site)
        policy.check_address(site, ip_address(site.host))
        with pytest.raises(NoConnection, match="which no page may reach"):
            policy.check_address(proxy, ip_address(proxy.host))
